"""A TPM 2.0 by its own commands: the six that attestation needs, with an empty owner password.

No tools and no library in the guest: a command is a short structure of big-endian integers written to
/dev/tpmrm0, and the answer is read back. Source: TCG TPM 2.0 Library, part 2 (structures) and part 3 (commands)
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from attest.collect.errors import CollectError, failure, of_os_error

OWNER = 0x40000001
_PASSWORD_SESSION = 0x40000009
_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002
SHA256 = 0x000B
RSASSA = 0x0014
_NULL = 0x0010

_NV_UNDEFINE, _NV_DEFINE, _NV_WRITE, _NV_READ, _NV_READ_PUBLIC = 0x122, 0x12A, 0x137, 0x14E, 0x169
_QUOTE, _PCR_READ = 0x158, 0x17E
_OWNER_WRITE, _OWNER_READ = 1 << 1, 1 << 17
_MAX_RESPONSE = 4096
_CHUNK = 1024
"""Every TPM takes this much of an NV index at once."""
MAX_NV = 8 << 10

_NO_HANDLE = (0x18B, 0x28B)
"""TPM_RC_HANDLE for the first or second handle: there is no such index or key."""
_RETRY = {0x922: "retry", 0x908: "yielded", 0x90A: "testing"}
_HEADER = struct.Struct(">HII")


class Transport(Protocol):
    """Carries one command and brings back its answer. Raises OSError."""

    def __call__(self, command: bytes) -> bytes: ...


class DeviceTransport:
    """The kernel's resource manager, opened for each TPM object's life."""

    def __init__(self, device: Path) -> None:
        self._device = device
        self._descriptor = -1

    def __call__(self, command: bytes) -> bytes:
        if self._descriptor < 0:
            self._descriptor = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
        if os.write(self._descriptor, command) != len(command):
            raise OSError("the TPM took only a part of a command")
        return os.read(self._descriptor, _MAX_RESPONSE)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class NvIndex:
    """attributes: TPMA_NV. size: of its data."""

    attributes: int
    size: int


@dataclass(frozen=True, slots=True)
class Quoted:
    """message: TPMS_ATTEST. signature: RSASSA with SHA-256, raw."""

    message: bytes
    signature: bytes


class Tpm:
    """Commands to one TPM. Each raises CollectError; no such index or key is `collect.unsupported`."""

    def __init__(
        self, transport: Transport, *, sleep: Callable[[float], None] = time.sleep, name: str = "TPM"
    ) -> None:
        self._transport, self._sleep, self._name = transport, sleep, name

    # -- non-volatile indexes ---------------------------------------------------------------------------

    def nv_public(self, index: int) -> NvIndex:
        answer = _Reader(self._send(_NV_READ_PUBLIC, struct.pack(">I", index), f"NV {index:#x}"))
        public = _Reader(answer.sized())
        public.take(6)  # index and name algorithm
        attributes = public.number(4)
        public.sized()
        return NvIndex(attributes, public.number(2))

    def nv_read(self, index: int) -> bytes:
        """The whole index, read with the owner's authorisation."""
        size = self.nv_public(index).size
        if size > MAX_NV:
            raise failure("collect.too-large", where=f"NV {index:#x}", expected=f"≤ {MAX_NV}", found=size)
        data = b""
        while len(data) < size:
            part = min(_CHUNK, size - len(data))
            answer = self._authorised(
                _NV_READ,
                struct.pack(">II", OWNER, index),
                struct.pack(">HH", part, len(data)),
                f"NV {index:#x}",
            )
            read = _Reader(answer).sized()
            if len(read) != part:
                raise failure("collect.inconsistent", where=f"NV {index:#x}", expected=part, found=len(read))
            data += read
        return data

    def nv_define(self, index: int, size: int) -> None:
        """An index that the owner reads and writes."""
        public = struct.pack(">IHIHH", index, SHA256, _OWNER_WRITE | _OWNER_READ, 0, size)
        self._authorised(_NV_DEFINE, struct.pack(">I", OWNER), _sized(b"") + _sized(public), f"NV {index:#x}")

    def nv_undefine(self, index: int) -> None:
        self._authorised(_NV_UNDEFINE, struct.pack(">II", OWNER, index), b"", f"NV {index:#x}")

    def nv_write(self, index: int, data: bytes) -> None:
        for offset in range(0, len(data), _CHUNK):
            self._authorised(
                _NV_WRITE,
                struct.pack(">II", OWNER, index),
                _sized(data[offset : offset + _CHUNK]) + struct.pack(">H", offset),
                f"NV {index:#x}",
            )

    # -- attestation ------------------------------------------------------------------------------------

    def quote(self, key: int, qualifying: bytes, pcrs: Sequence[int]) -> Quoted:
        """A quote of these PCRs of the SHA-256 bank by a restricted RSA key, under the key's own scheme."""
        answer = _Reader(
            self._authorised(
                _QUOTE,
                struct.pack(">I", key),
                _sized(qualifying) + struct.pack(">H", _NULL) + _selection(pcrs),
                f"key {key:#x}",
            )
        )
        message = answer.sized()
        scheme, digest = answer.number(2), answer.number(2)
        if (scheme, digest) != (RSASSA, SHA256):
            raise failure(
                "collect.unsupported",
                message="The attestation key signs in a way that verifiers of this evidence do not read",
                where=f"key {key:#x}",
                expected="RSASSA with SHA-256",
                found=f"{scheme:#06x} with {digest:#06x}",
                remedy="this is not the virtual TPM's attestation key as Azure makes it",
            )
        return Quoted(message, answer.sized())

    def pcr_read(self, pcrs: Sequence[int]) -> dict[int, bytes]:
        """PCR → value in the SHA-256 bank; a TPM gives eight at a time."""
        values: dict[int, bytes] = {}
        while missing := [pcr for pcr in pcrs if pcr not in values]:
            answer = _Reader(self._send(_PCR_READ, _selection(missing), "PCRs"))
            answer.take(4)  # update counter
            given = _selected(answer)
            count = answer.number(4)
            if count != len(given) or not given or not set(given) <= set(missing):
                raise failure(
                    "collect.inconsistent", where="PCRs", expected=f"some of {missing}", found=str(given)
                )
            values.update({pcr: answer.sized() for pcr in given})
        return values

    # -- the wire ---------------------------------------------------------------------------------------

    def _authorised(self, code: int, handles: bytes, parameters: bytes, where: str) -> bytes:
        """The parameters of the answer, without its session area."""
        session = struct.pack(">IHBH", _PASSWORD_SESSION, 0, 0, 0)
        body = handles + struct.pack(">I", len(session)) + session + parameters
        answer = self._command(_SESSIONS, code, body, where)
        return _Reader(answer).sized(4)

    def _send(self, code: int, body: bytes, where: str) -> bytes:
        return self._command(_NO_SESSIONS, code, body, where)

    def _command(self, tag: int, code: int, body: bytes, where: str) -> bytes:
        command = _HEADER.pack(tag, _HEADER.size + len(body), code) + body
        for pause in (0.1, 0.2, 0.4, 0.8, 1.6, None):
            try:
                answer = self._transport(command)
            except OSError as error:
                raise of_os_error(error, where=self._name) from None
            if len(answer) < _HEADER.size:
                raise failure("collect.inconsistent", where=self._name, found=f"{len(answer)} bytes")
            _, size, result = _HEADER.unpack_from(answer)
            if size != len(answer):
                raise failure("collect.inconsistent", where=self._name, expected=size, found=len(answer))
            if result not in _RETRY or pause is None:
                break
            self._sleep(pause)
        if result:
            raise self._refused(result, where)
        return answer[_HEADER.size :]

    def _refused(self, result: int, where: str) -> CollectError:
        if result in _NO_HANDLE:
            return failure(
                "collect.unsupported",
                message="The TPM has no such object",
                where=f"{self._name} {where}",
                found=f"response {result:#x}",
            )
        return failure("collect.tpm", where=f"{self._name} {where}", found=f"response {result:#x}")


class _Reader:
    """Takes an answer apart; CollectError where it is too short."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise failure("collect.inconsistent", where="TPM answer", expected=end, found=len(self._data))
        part = self._data[self._position : end]
        self._position = end
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sized(self, width: int = 2) -> bytes:
        return self.take(self.number(width))


def _sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _selection(pcrs: Sequence[int]) -> bytes:
    """TPML_PCR_SELECTION of one bank: bit i%8 of byte i/8."""
    bits = sum(1 << pcr for pcr in pcrs)
    return struct.pack(">IHB", 1, SHA256, 3) + bits.to_bytes(3, "little")


def _selected(answer: _Reader) -> list[int]:
    if answer.number(4) != 1 or answer.number(2) != SHA256:
        raise failure("collect.inconsistent", where="PCRs", expected="one selection of the SHA-256 bank")
    bits = int.from_bytes(answer.take(answer.number(1)), "little")
    return [pcr for pcr in range(24) if bits >> pcr & 1]
