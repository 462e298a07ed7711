"""Keys that guests may bring: strict reading, all members kept."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import Malformed
from kbs.protocol.tee_key import RSA1_5, TeeKey, decode, encode
from tests.kbs.twin import TwinKey, b64, unb64

EC = TwinKey.elliptic().jwk
P521 = TwinKey.elliptic("P-521").jwk
RSA = TwinKey.rsa().jwk


@pytest.mark.parametrize("jwk", [EC, P521, RSA, EC | {"kid": "x"}, EC | {"more": {"deep": "text"}}])
def test_keys_of_the_protocol_are_read_with_all_members(jwk: dict[str, Any]) -> None:
    assert TeeKey.from_jwk(jwk).jwk == jwk


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param({"kty": "OKP", "crv": "X25519", "alg": "ECDH-ES+A256KW", "x": b64(bytes(32))}, id="OKP"),
        pytest.param({"kty": "AKP", "alg": "ML-KEM-768+A192KW", "pub": b64(bytes(1184))}, id="AKP"),
        pytest.param(TwinKey.rsa("RSA1_5").jwk, id="RSA1_5"),
        pytest.param(RSA | {"alg": "RSA-OAEP"}, id="RSA-OAEP with SHA-1"),
        pytest.param(TwinKey.rsa(bits=1024).jwk, id="RSA-1024"),
        pytest.param(RSA | {"n": b64(b"\xff" * 513)}, id="RSA-4104"),
        pytest.param(RSA | {"n": b64(b"\x01" + b"\xff" * 512)}, id="RSA-4097"),
        pytest.param(RSA | {"n": b64(b"\x7f" + b"\xff" * 255)}, id="RSA-2047"),
        pytest.param(RSA | {"n": b64(unb64(RSA["n"])[:-1] + b"\xfe")}, id="RSA modulus even"),
        pytest.param(EC | {"x5c": "A" * 20_000}, id="too large"),
        pytest.param(RSA | {"e": b64(b"\x03")}, id="RSA exponent 3"),
        pytest.param(RSA | {"e": b64(b"\x01")}, id="RSA exponent 1"),
        pytest.param(EC | {"alg": "none"}, id="alg none"),
        pytest.param(EC | {"alg": "RSA-OAEP-256"}, id="alg of another type"),
        pytest.param(EC | {"alg": "ECDH-ES"}, id="no key wrap"),
        pytest.param({k: v for k, v in EC.items() if k != "alg"}, id="no alg"),
        pytest.param(EC | {"crv": "P-384"}, id="P-384"),
        pytest.param(EC | {"crv": "secp256k1"}, id="secp256k1"),
        pytest.param(EC | {"y": EC["x"]}, id="not on the curve"),
        pytest.param(EC | {"x": b64(bytes(32)), "y": b64(bytes(32))}, id="zero"),
        pytest.param(EC | {"x": b64(bytes(31))}, id="short coordinate"),
        pytest.param(EC | {"x": b64(b"\0" + unb64(EC["x"]))}, id="long coordinate"),
        pytest.param(EC | {"x": EC["x"] + "="}, id="padding"),
        pytest.param(EC | {"x": EC["x"] + "\n"}, id="newline"),
        pytest.param(EC | {"x": 5}, id="number"),
        pytest.param(EC | {"d": b64(bytes(32))}, id="private"),
        pytest.param(EC | {"use": ["enc"]}, id="list"),
        pytest.param(EC | {"kid": "\ud800"}, id="half a surrogate"),
        pytest.param([], id="not an object"),
        pytest.param(None, id="nothing"),
    ],
)
def test_other_keys_are_refused(jwk: Any) -> None:
    with pytest.raises(Malformed):
        TeeKey.from_jwk(jwk)


@pytest.mark.parametrize("bits", [2048, 4096])
def test_rsa_keys_of_2048_to_4096_bits_are_read(bits: int) -> None:
    modulus = (1 << bits) - 1
    jwk = RSA | {"n": b64(modulus.to_bytes(bits // 8, "big"))}
    assert TeeKey.from_jwk(jwk).jwk == jwk


def test_rsa1_5_is_read_only_where_it_is_asked_for() -> None:
    jwk = TwinKey.rsa("RSA1_5").jwk
    assert TeeKey.from_jwk(jwk, frozenset({RSA1_5})).algorithm == "RSA1_5"
    for other in (RSA, EC):
        with pytest.raises(Malformed, match="not served"):
            TeeKey.from_jwk(other, frozenset({RSA1_5}))


def test_thumbprint_is_that_of_rfc_7638() -> None:
    """The example of RFC 7638 §3.1, with the algorithm we serve in its optional member."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6q"
        "MQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKn"
        "qDKgw"
    )
    jwk = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RSA-OAEP-256", "kid": "2011-04-29"}
    assert TeeKey.from_jwk(jwk).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@given(st.binary(min_size=1, max_size=80))
def test_base64url_has_one_text_for_one_value(raw: bytes) -> None:
    assert decode(encode(raw), "x") == raw
    last = encode(raw)[-1]
    for other in "BCDEFGHIJKLMNOP":
        if len(raw) % 3 and other != last:
            with contextlib.suppress(Malformed):
                assert decode(encode(raw)[:-1] + other, "x") != raw


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8), lambda c: st.dictionaries(st.text(max_size=4), c)
    )
)
def test_any_json_is_a_key_or_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        TeeKey.from_jwk(value)
