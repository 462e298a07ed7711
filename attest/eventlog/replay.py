"""Registers from events: each digest is hashed onto what the register held before.

Source: TCG PC Client Platform Firmware Profile, event logging; TPM 2.0 Library part 1, PCR operations; Intel TDX
module ABI, TDG.MR.RTMR.EXTEND. CCEL uses the same rule with SHA-384.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from attest.eventlog.log import EV_NO_ACTION, SHA1, SHA256, SHA384, SHA512, EventLog
from attest.problems import malformed

BANKS: Mapping[str, int] = {"sha1": SHA1, "sha256": SHA256, "sha384": SHA384, "sha512": SHA512}
HASHES: Mapping[int, str] = {algorithm: name for name, algorithm in BANKS.items()}
STARTUP_LOCALITY = b"StartupLocality\0"
_DYNAMIC = range(17, 23)
"""PCRs of a dynamic launch: all ones until one happens."""
RTMRS = range(1, 5)
"""Indices of RTMR0 to RTMR3 in a TD's log."""


def extend(register: bytes, digest: bytes, bank: str = "sha384") -> bytes:
    """What the register holds after `digest` was measured into it: H(register ‖ digest)."""
    return hashlib.new(bank, register + digest).digest()


def extend_all(digests: Iterable[bytes], bank: str = "sha384", start: bytes | None = None) -> bytes:
    """A register after all `digests`, in order. start: what it held before; None for zeros."""
    register = bytes(hashlib.new(bank).digest_size) if start is None else start
    for digest in digests:
        register = extend(register, digest, bank)
    return register


def replay(log: EventLog, bank: str) -> dict[int, bytes]:
    """Register index → value after all its events; registers without events are absent.

    log: unverified. bank: `sha384` for RTMRs, `sha256` for PCRs. Entries of type EV_NO_ACTION are not
    measured; every other type is, known or not. Raises Malformed when the log has no digests of that bank.
    """
    return _replay(log, bank, {})


def replay_rtmrs(log: EventLog) -> tuple[bytes, bytes, bytes, bytes]:
    """RTMR0 to RTMR3, 48 bytes each; zeros where nothing was logged.

    Entries at index 0 belong to MRTD, which no log can be replayed into: they are left out, and nothing
    in them is believed. Raises Malformed when this is no TD's log.
    """
    if log.form == "tpm":
        raise malformed("This is a TPM's event log, not a TD's", where="event log")
    found = replay(log, "sha384")
    first, second, third, fourth = (found.get(index, bytes(48)) for index in RTMRS)
    return first, second, third, fourth


def replay_pcrs(log: EventLog, bank: str = "sha256") -> Mapping[int, bytes]:
    """PCR index → value, for all of 0 to 23.

    PCRs 17 to 22 start with all ones, PCR 0 with the locality that a StartupLocality entry names, the rest
    with zeros. PCRs that are extended after boot (8, 10, 11, 14, 15 …) come out as they were when the log
    was written. Raises Malformed when this is no TPM's log, has no digests of that bank, or names a startup
    locality twice or late.
    """
    if log.form != "tpm":
        raise malformed("This is a TD's event log, not a TPM's", where="event log")
    size = hashlib.new(bank).digest_size
    start = {index: b"\xff" * size if index in _DYNAMIC else bytes(size) for index in range(24)}
    start[0] = bytes(size - 1) + bytes([_startup_locality(log)])
    return start | _replay(log, bank, start)


def _replay(log: EventLog, bank: str, start: Mapping[int, bytes]) -> dict[int, bytes]:
    algorithm = BANKS[bank]
    if algorithm not in dict(log.algorithms):
        raise malformed(f"The event log has no {bank} digests", where="event log", expected=bank)
    zeros = bytes(hashlib.new(bank).digest_size)
    registers: dict[int, bytes] = {}
    for event in log.events:
        if event.type == EV_NO_ACTION:
            continue
        digest = event.digest(algorithm)
        assert digest is not None  # parsing compared every event with the declaration
        before = registers.get(event.index) or start.get(event.index, zeros)
        registers[event.index] = extend(before, digest, bank)
    return registers


def _startup_locality(log: EventLog) -> int:
    """The last byte that PCR 0 starts with: 0, 3, or 4 where a hardware root of trust measured first."""
    found: int | None = None
    for position, event in enumerate(log.events):
        if event.index != 0 or event.type != EV_NO_ACTION or not event.data.startswith(STARTUP_LOCALITY):
            continue
        late = any(one.index == 0 and one.type != EV_NO_ACTION for one in log.events[:position])
        if found is not None or late or len(event.data) != 17 or event.data[16] not in (0, 3, 4):
            raise malformed("The event log names an impossible startup locality", where=f"event {position}")
        found = event.data[16]
    return found or 0
