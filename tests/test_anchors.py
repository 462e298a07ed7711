"""Pinned roots: the table beside them is true, and a simulator's root gets in by one door only."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

import attest.anchors
from attest.anchors import Anchors
from attest.x509 import SIMULATOR_EXTENSION, parse_certificates
from tests.ca import Authority

FOLDER = Path(attest.anchors.__file__).parent
PINNED = {
    "amd-ark-milan": "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9",
    "amd-ark-genoa": "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831",
    "amd-ark-turin": "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08",
    "intel-sgx-root": "a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e",
    "nvidia-device": "a90c4eb5acfd3e3d03a25db6a26b84f720ad0503196c627c21ddd48dd85b06a4",
    "nvidia-rim": "dec1dc316477aa851eebdf51327ae9f864bc8d89254657ed1e7eb9168af1e1a3",
    "azure-vtpm": "5cbc52672ae101263c2976736044a964c1182ce9412c39937183baddcccb8cdf",
}


def table(readme: Path) -> dict[str, list[str]]:
    rows = [
        line.strip("| ").split(" | ") for line in readme.read_text().splitlines() if line.startswith("| ")
    ]
    return {row[0]: row[1:] for row in rows if row[0] != "file"}


def pem(authority: Authority) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return authority.certificate.parsed.public_bytes(Encoding.PEM)


def marked(role: bytes, critical: bool = True) -> Authority:
    value = b"\x0c" + bytes([len(role)]) + role
    return Authority("SIMULATED", extra=((x509.UnrecognizedExtension(SIMULATOR_EXTENSION, value), critical),))


def test_t_root_the_pinned_keys_are_the_vendors() -> None:
    roots = Anchors.production().roots
    assert {anchor.role: anchor.spki_sha256.hex() for anchor in roots} == PINNED
    assert not any(anchor.simulated for anchor in roots)


def test_the_table_of_roots_is_true_and_complete() -> None:
    rows = table(FOLDER / "README.md")
    assert set(rows) == {path.name for path in FOLDER.glob("*.pem")}
    for name, row in rows.items():
        (certificate,) = parse_certificates((FOLDER / name).read_bytes(), where=name)
        assert row[-2:] == [certificate.fingerprint.hex(), certificate.spki_sha256.hex()], name
        assert all(row), f"{name} has no origin or licence"


def test_every_root_is_self_signed() -> None:
    for anchor in Anchors.production().roots:
        assert anchor.certificate.issued_by(anchor.certificate)


def test_a_simulator_root_is_added_only_when_marked() -> None:
    added = Anchors.production().with_simulator(pem(marked(b"nvidia-rim")))
    assert [anchor.role for anchor in added.roots if anchor.simulated] == ["nvidia-rim"]
    assert added.digest != Anchors.production().digest
    for impostor in (Authority("no mark"), marked(b"nvidia-rim", critical=False), marked(b"no-such-role")):
        with pytest.raises(ValueError, match="simulator root"):
            Anchors.production().with_simulator(pem(impostor))


def test_production_anchors_are_not_changed_by_a_simulators() -> None:
    Anchors.production().with_simulator(pem(marked(b"nvidia-rim")))
    assert not any(anchor.simulated for anchor in Anchors.production().roots)
