import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.der import ENUMERATED, Tlv, read_der
from attest.errors import Malformed


def read(text: str) -> Tlv:
    return read_der(bytes.fromhex(text), where="extension")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("020100", 0),
        ("02017f", 127),
        ("02020080", 128),
        ("020200ff", 255),
        ("0201ff", -1),
        ("0202ff7f", -129),
    ],
)
def test_integers_are_read_with_their_sign(text: str, value: int) -> None:
    assert read(text).integer() == value


@pytest.mark.parametrize("text", ["0200", "0202007f", "0202ff80", "02020000", "0202ffff"])
def test_an_integer_not_in_its_shortest_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read(text).integer()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "3080",
        "30800000",
        "30810100",  # long form where the short one fits
        "3082000100",  # leading zero in the length
        "3085000000000000",
        "300200",
        "3000 00".replace(" ", ""),  # bytes after the value
        "30003000",
        "1f8100",  # tag of several bytes
        "0000",
        "3084ffffffff",
    ],
)
def test_structure_a_strict_encoder_would_not_write_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read(text)


def test_the_extension_content_is_walked_to_its_leaves() -> None:
    outer = read("300b0603550403 0404deadbeef".replace(" ", ""))
    name, value = outer.sequence()
    assert name.oid() == "2.5.4.3"
    assert value.octets(4) == bytes.fromhex("deadbeef")
    with pytest.raises(Malformed):
        value.octets(5)
    with pytest.raises(Malformed):
        value.integer()


def test_oids_above_two_hundred_and_large_arcs_are_read() -> None:
    assert read("06092a864886f84d010d01").oid() == "1.2.840.113741.1.13.1"
    assert read("06022f01").oid() == "1.7.1"
    assert read("0603883703").oid() == "2.999.3"


@pytest.mark.parametrize("text", ["0600", "06022a80", "06032a8001"])
def test_an_oid_that_is_cut_or_padded_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read(text).oid()


@pytest.mark.parametrize("text", ["010101", "0100", "0102ffff"])
def test_a_boolean_other_than_00_or_ff_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read(text).boolean()


def test_enumerated_and_context_tags() -> None:
    assert read("0a0102").enumerated() == 2
    assert read("0a0102").integer(ENUMERATED) == 2
    assert read("a003020101").context(0, constructed=True).children()[0].unsigned(1) == 1
    with pytest.raises(Malformed):
        read("8001ff").context(1, constructed=False)
    with pytest.raises(Malformed):
        read("020102").unsigned(1)


def test_depth_is_capped() -> None:
    data = b""
    for _ in range(40):
        data = bytes([0x30, len(data)]) + data
    with pytest.raises(Malformed):
        element = read_der(data, where="deep")
        while True:
            (element,) = element.sequence()


@given(st.binary(max_size=200))
def test_any_bytes_give_an_element_or_malformed(data: bytes) -> None:
    def walk(element: Tlv) -> None:
        for read_as in (element.integer, element.boolean, element.octets, element.enumerated, element.oid):
            with contextlib.suppress(Malformed):
                read_as()
        for child in element.children():
            walk(child)

    with contextlib.suppress(Malformed):
        walk(read_der(data, where="any"))
