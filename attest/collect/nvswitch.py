"""NVSwitches of a protected PCIe machine through NVIDIA's NSCQ library.

The library answers through callbacks that it calls for each device while a path is observed.
Source: NVIDIA NSCQ 2, session, observe and attestation paths
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from attest.collect.deadline import within
from attest.collect.errors import failure
from attest.collect.nvidia import MAX_CHAIN, MAX_REPORT, NONCE, Device, check_nonce

LIBRARY = "libnvidia-nscq.so.2"
SECONDS = 30.0
_MOUNT_DEVICES = 1
_MAX_SWITCHES = 16
_RDT_INIT_FAILURE = 1

_UUIDS = b"/drv/nvswitch/{device}/uuid"
_CERTIFICATE = "/config/certificate"
_REPORT = "/config/attestation_report"


class _Uuid(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_uint8 * 16),)


class _Label(ctypes.Structure):
    _fields_ = (("data", ctypes.c_char * 64),)


class _SessionResult(ctypes.Structure):
    _fields_ = (("rc", ctypes.c_int8), ("session", ctypes.c_void_p))


class _AttestationReport(ctypes.Structure):
    _fields_ = (("size", ctypes.c_uint32), ("data", ctypes.c_uint8 * MAX_REPORT))


class _CertificateChain(ctypes.Structure):
    _fields_ = (("data", ctypes.c_uint8 * MAX_CHAIN), ("size", ctypes.c_uint32))


def _callback(value: Any) -> Any:
    """(device, return code, value, user data) → nothing"""
    return ctypes.CFUNCTYPE(None, ctypes.POINTER(_Uuid), ctypes.c_int8, value, ctypes.c_void_p)


_OnUuid = _callback(ctypes.POINTER(_Uuid))
_OnReport = _callback(_AttestationReport)
_OnCertificate = _callback(_CertificateChain)


def collect_switches(
    nonce: bytes, library: str | None = None, *, seconds: float = SECONDS
) -> tuple[Device, ...]:
    """Reports of all switches over these 32 bytes. library: a file to use instead of the loader's.

    Raises CollectError (`collect.switches`), also where there is no switch.
    """
    if len(nonce) != NONCE:
        raise failure(
            "collect.bad-request", where="switch nonce", expected=f"{NONCE} bytes", found=len(nonce)
        )
    try:
        nscq = ctypes.CDLL(library or LIBRARY)
        _declare(nscq)
    except (OSError, AttributeError) as error:
        raise failure("collect.switches", where=library or LIBRARY, found=str(error)) from None
    return within(seconds * (1 + _MAX_SWITCHES), "NSCQ", lambda: _collect(nscq, nonce, seconds))


def _declare(nscq: Any) -> None:
    nscq.nscq_session_create.argtypes = (ctypes.c_uint32,)
    nscq.nscq_session_create.restype = _SessionResult
    nscq.nscq_session_destroy.argtypes = (ctypes.c_void_p,)
    nscq.nscq_session_destroy.restype = None
    nscq.nscq_session_path_observe.argtypes = (
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32,
    )  # fmt: skip
    nscq.nscq_session_path_observe.restype = ctypes.c_int8
    nscq.nscq_session_set_input.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32,
    )  # fmt: skip
    nscq.nscq_session_set_input.restype = ctypes.c_int8
    nscq.nscq_uuid_to_label.argtypes = (ctypes.POINTER(_Uuid), ctypes.POINTER(_Label), ctypes.c_uint32)
    nscq.nscq_uuid_to_label.restype = ctypes.c_int8


def _collect(nscq: Any, nonce: bytes, seconds: float) -> tuple[Device, ...]:
    created = nscq.nscq_session_create(_MOUNT_DEVICES)
    if created.rc:
        raise failure(
            "collect.switches",
            where="nscq_session_create",
            found=f"return code {created.rc}",
            remedy="the library's version must be exactly the driver's"
            if created.rc == _RDT_INIT_FAILURE
            else None,
        )
    try:
        session = _Session(nscq, created.session, seconds)
        names = session.names()
        if not names:
            raise failure("collect.switches", where="NSCQ", expected="≥ 1 switch", found=0)
        return tuple(session.device(name, nonce) for name in names)
    finally:
        nscq.nscq_session_destroy(created.session)


class _Session:
    def __init__(self, nscq: Any, session: Any, seconds: float) -> None:
        self._nscq, self._session, self._seconds = nscq, session, seconds

    def names(self) -> list[str]:
        found: list[str] = []

        def read(uuid: Any) -> None:
            label = _Label()
            if not uuid or self._nscq.nscq_uuid_to_label(uuid, ctypes.byref(label), 0):
                raise failure("collect.switches", where="nscq_uuid_to_label")
            found.append(label.data.decode("ascii", "replace"))

        self._observe(_UUIDS, _OnUuid, read)
        if len(found) > _MAX_SWITCHES or len(set(found)) != len(found):
            raise failure("collect.switches", where="NSCQ", expected="distinct switches", found=len(found))
        return found

    def device(self, name: str, nonce: bytes) -> Device:
        chain = self._one(f"/{name}{_CERTIFICATE}", _OnCertificate, MAX_CHAIN)
        given = ctypes.create_string_buffer(nonce, len(nonce))
        if code := self._nscq.nscq_session_set_input(self._session, 0, given, len(nonce)):
            raise failure("collect.switches", where=f"{name} nonce", found=f"return code {code}")
        report = self._one(f"/{name}{_REPORT}", _OnReport, MAX_REPORT)
        check_nonce(report, nonce, f"switch {name}")
        return Device(report, chain)

    def _one(self, path: str, kind: Any, most: int) -> bytes:
        found: list[bytes] = []

        def read(value: Any) -> None:
            if not 0 < value.size <= most:
                raise failure("collect.switches", where=path, expected=f"1 to {most} bytes", found=value.size)
            found.append(bytes(value.data)[: value.size])

        self._observe(path.encode("ascii", "replace"), kind, read)
        if len(found) != 1:
            raise failure("collect.switches", where=path, expected="one answer", found=len(found))
        return found[0]

    def _observe(self, path: bytes, kind: Any, read: Callable[[Any], None]) -> None:
        """Errors inside a callback cannot pass through the library: they are kept and raised after it."""
        errors: list[Exception] = []

        def called(_device: Any, code: int, value: Any, _data: Any) -> None:
            try:
                if code:
                    raise failure("collect.switches", where=path.decode("ascii"), found=f"return code {code}")
                read(value)
            except Exception as error:  # noqa: BLE001  (raised again below)
                errors.append(error)

        function = kind(called)
        code = within(
            self._seconds,
            path.decode("ascii"),
            lambda: self._nscq.nscq_session_path_observe(
                self._session, path, ctypes.cast(function, ctypes.c_void_p), None, 0
            ),
        )
        if errors:
            raise errors[0]
        if code:
            raise failure("collect.switches", where=path.decode("ascii"), found=f"return code {code}")
