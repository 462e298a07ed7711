"""Reports as guests before guest-components 0.14 send them: the serde form of the crate `sev`, releases 3 and 4.

Its struct is a picture of report version 2, laid over whatever the firmware gave: fields of later versions stand in
what it calls reserved. Written here from the raw bytes alone.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.composite import read_composite
from attest.errors import Malformed
from attest.simulator import Simulator
from attest.snp.containers import read_report_document
from attest.snp.report import SIZE, Report

SIGNED, USED = 0x2A0, 0x330


def as_sev_4(raw: bytes) -> dict[str, Any]:
    def number(offset: int, size: int) -> int:
        return int.from_bytes(raw[offset : offset + size], "little")

    def octets(offset: int, size: int) -> list[int]:
        return list(raw[offset : offset + size])

    def tcb(offset: int) -> dict[str, Any]:
        b = raw[offset : offset + 8]
        return {"bootloader": b[0], "tee": b[1], "_reserved": list(b[2:6]), "snp": b[6], "microcode": b[7]}

    return {
        "attestation_report": {
            "version": number(0x000, 4),
            "guest_svn": number(0x004, 4),
            "policy": number(0x008, 8),
            "family_id": octets(0x010, 16),
            "image_id": octets(0x020, 16),
            "vmpl": number(0x030, 4),
            "sig_algo": number(0x034, 4),
            "current_tcb": tcb(0x038),
            "plat_info": number(0x040, 8),
            "_author_key_en": number(0x048, 4),
            "_reserved_0": number(0x04C, 4),
            "report_data": octets(0x050, 64),
            "measurement": octets(0x090, 48),
            "host_data": octets(0x0C0, 32),
            "id_key_digest": octets(0x0E0, 48),
            "author_key_digest": octets(0x110, 48),
            "report_id": octets(0x140, 32),
            "report_id_ma": octets(0x160, 32),
            "reported_tcb": tcb(0x180),
            "_reserved_1": octets(0x188, 24),
            "chip_id": octets(0x1A0, 64),
            "committed_tcb": tcb(0x1E0),
            "current_build": raw[0x1E8],
            "current_minor": raw[0x1E9],
            "current_major": raw[0x1EA],
            "_reserved_2": raw[0x1EB],
            "committed_build": raw[0x1EC],
            "committed_minor": raw[0x1ED],
            "committed_major": raw[0x1EE],
            "_reserved_3": raw[0x1EF],
            "launch_tcb": tcb(0x1F0),
            "_reserved_4": octets(0x1F8, 168),
            "signature": {"r": octets(0x2A0, 72), "s": octets(0x2E8, 72), "_reserved": [0] * 368},
        },
        "cert_chain": None,
    }


@pytest.mark.parametrize(
    ("version", "product"),
    [
        (2, "milan"),
        (3, "milan"),
        (5, "milan"),
        (2, "genoa"),
        (3, "genoa"),
        (5, "genoa"),
        (3, "turin"),
        (5, "turin"),
    ],
)
def test_an_old_document_gives_the_report_it_was_made_of(
    version: int, product: str, simulator: Simulator
) -> None:
    raw = simulator.snp(version=version, product=product).raw
    evidence, _ = read_composite("snp", as_sev_4(raw), "")
    assert isinstance(evidence.cpu, Report)
    assert evidence.cpu.raw == raw


@given(st.binary(min_size=USED, max_size=USED))
def test_every_byte_that_is_signed_comes_back(raw: bytes) -> None:
    whole = raw + bytes(SIZE - USED)
    report, _ = read_report_document(as_sev_4(whole), where="x")
    assert report.raw == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_reserved_0", -1),
        ("_reserved_0", 1 << 32),
        ("_reserved_1", [0] * 23),
        ("_reserved_1", [256] * 24),
        ("_reserved_2", 256),
        ("_reserved_4", "0"),
    ],
)
def test_reserved_bytes_are_read_as_strictly_as_others(name: str, value: Any, simulator: Simulator) -> None:
    document = as_sev_4(simulator.snp().raw)
    document["attestation_report"][name] = value
    with pytest.raises(Malformed):
        read_report_document(document, where="x")


def test_reserved_bytes_of_a_tcb_are_four(simulator: Simulator) -> None:
    document = as_sev_4(simulator.snp().raw)
    document["attestation_report"]["reported_tcb"]["_reserved"] = [0, 0, 0]
    with pytest.raises(Malformed):
        read_report_document(document, where="x")
