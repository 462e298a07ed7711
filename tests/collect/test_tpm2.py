"""TPM commands against a TPM that answers wrongly; one that answers rightly is in `test_azure`."""

from __future__ import annotations

import struct

import pytest

from attest.collect.azure import AK, PCRS
from attest.collect.errors import CollectError
from attest.collect.tpm2 import Tpm


def answered(body: bytes, code: int = 0, *, session: bool = False) -> bytes:
    if session:
        body = struct.pack(">I", len(body)) + body + bytes(5)
    return struct.pack(">HII", 0x8002 if session else 0x8001, 10 + len(body), code) + body


def sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


class Scripted:
    """Gives these answers in turn, the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, command: bytes) -> bytes:
        assert struct.unpack(">I", command[2:6]) == (len(command),)
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def public(size: int) -> bytes:
    return answered(sized(struct.pack(">IHIHH", 1, 0xB, 0x00020002, 0, size)) + sized(b"name"))


def code_of(tpm: Tpm, call: str, *arguments: object) -> str:
    with pytest.raises(CollectError) as failure:
        getattr(tpm, call)(*arguments)
    return failure.value.code


def test_a_busy_tpm_is_asked_again_with_growing_pauses() -> None:
    slept: list[float] = []
    transport = Scripted(answered(b"", 0x922), answered(b"", 0x908), answered(b"", 0x90A), public(64))
    assert Tpm(transport, sleep=slept.append).nv_public(1).size == 64
    assert slept == [0.1, 0.2, 0.4]


def test_a_tpm_that_stays_busy_is_given_up() -> None:
    transport = Scripted(answered(b"", 0x922))
    assert code_of(Tpm(transport, sleep=lambda _: None), "nv_public", 1) == "collect.tpm"
    assert transport.asked == 6


@pytest.mark.parametrize("code", [0x101, 0x921, 0x98E])
def test_another_refusal_is_not_asked_again(code: int) -> None:
    """0x98E counts against the lockout, each time."""
    transport = Scripted(answered(b"", code))
    assert code_of(Tpm(transport), "nv_public", 1) == "collect.tpm"
    assert transport.asked == 1


def test_an_index_larger_than_any_report_is_not_read() -> None:
    transport = Scripted(public(0x2001))
    assert code_of(Tpm(transport), "nv_read", 1) == "collect.too-large"
    assert transport.asked == 1


def test_a_part_of_another_length_is_refused() -> None:
    part = answered(sized(bytes(63)), session=True)
    assert code_of(Tpm(Scripted(public(64), part)), "nv_read", 1) == "collect.inconsistent"


@pytest.mark.parametrize(("scheme", "digest"), [(0x0016, 0x000B), (0x0014, 0x000C), (0x0018, 0x000B)])
def test_a_key_of_another_scheme_is_not_the_paravisors(scheme: int, digest: int) -> None:
    answer = sized(b"message") + struct.pack(">HH", scheme, digest) + sized(bytes(256))
    assert (
        code_of(Tpm(Scripted(answered(answer, session=True))), "quote", AK, b"x", PCRS)
        == "collect.unsupported"
    )


def pcrs(bitmap: int, values: int, *, bank: int = 0xB) -> bytes:
    selection = struct.pack(">IHB", 1, bank, 3) + bitmap.to_bytes(3, "little")
    return answered(bytes(4) + selection + struct.pack(">I", values) + sized(bytes(32)) * values)


@pytest.mark.parametrize(
    "answer",
    [
        pcrs(0, 0),
        pcrs(0b11, 1),
        pcrs(0b1, 2),
        pcrs(0b1000, 1),
        pcrs(0b1, 1, bank=0x4),
        answered(bytes(4) + struct.pack(">I", 0) + struct.pack(">I", 0)),
    ],
)
def test_values_of_other_registers_than_asked_are_refused(answer: bytes) -> None:
    """None at all, fewer or more than it says, one that was not asked for, another bank."""
    assert code_of(Tpm(Scripted(answer)), "pcr_read", (0, 1, 2)) == "collect.inconsistent"


def test_registers_come_in_several_answers() -> None:
    transport = Scripted(pcrs(0b101, 2), pcrs(0b10, 1))
    assert sorted(Tpm(transport).pcr_read((0, 1, 2))) == [0, 1, 2]


@pytest.mark.parametrize("answer", [b"", bytes(9), answered(b"")[:-1], answered(b"") + b"\0"])
def test_an_answer_of_another_length_than_it_says_is_refused(answer: bytes) -> None:
    assert code_of(Tpm(Scripted(answer)), "nv_public", 1) == "collect.inconsistent"
