"""Run by NVIDIA's interpreter, not by ours: asks nv-local-gpu-verifier and nv-attestation-sdk, step by step.

    PYTHON -I -B peer.py        one JSON question a line on stdin, one JSON answer a line on stdout

It imports nothing of attest. It calls the functions that NVIDIA's own `attest` calls, in their order, each by
itself, so that one failure does not hide the next. Four things of theirs are set from outside:

- the clock: every certificate path of theirs is checked at the question's `at`; they would ask the wall clock;
- the network: sockets are closed off, and OCSP is reported as not asked;
- the evidence: report, chain and manifests come from the question, where theirs come from NVML and NSCQ;
- the driver's and the VBIOS's version, which NVML would tell, are those of the report itself.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

LONGEST_LINE = 32 << 20
_STEPS = {
    "gpu": ("parsed", "chain", "fwid", "nonce", "signature", "driver-rim", "vbios-rim", "measurements"),
    "switch": ("parsed", "chain", "fwid", "nonce", "signature", "bios-rim", "measurements"),
}


class Findings:
    """What each step found: `passed`, `failed` or `not-run`, and why."""

    def __init__(self, kind: str) -> None:
        self.steps = dict.fromkeys(_STEPS[kind], ("not-run", "an earlier step failed"))
        self.steps["revocation"] = ("not-run", "this process has no network to ask OCSP by")

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        """The step's value; None when it raised or was false. Theirs raise everything there is."""
        try:
            value = step()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.steps[name] = ("failed", f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
            return None
        self.steps[name] = ("passed", "") if value else ("failed", "says false")
        return value or None

    def skip(self, name: str, why: str) -> None:
        self.steps[name] = ("not-run", why)


class Library:
    """NVIDIA's modules, imported once with their logging silenced."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        self.crypto = importlib.import_module("OpenSSL.crypto")
        self.at = datetime.now(UTC)
        self._own_clock()
        load = importlib.import_module
        self.gpu = SimpleNamespace(
            config=load("verifier.config"),
            utils=load("verifier.cc_admin_utils").CcAdminUtils,
            report=load("verifier.attestation").AttestationReport,
            rim=load("verifier.rim").RIM,
            compare=load("verifier.verifier").Verifier,
            version=load("verifier.utils").format_vbios_version,
        )
        room = "nv_attestation_sdk.verifiers.nv_switch_verifier"
        self.switch = SimpleNamespace(
            config=load(f"{room}.config"),
            utils=load(f"{room}.nvswitch_admin_utils").NVSwitchAdminUtils,
            report=load(f"{room}.attestation").AttestationReport,
            rim=load(f"{room}.rim").RIM,
            compare=load(f"{room}.nvswitch_verifier").SwitchVerifier,
            log=logging.getLogger("sdk-logger"),
        )
        for room_of in (self.gpu, self.switch):
            # (accepted, warning, status, reason), as theirs answers for a chain that is good.
            room_of.utils.ocsp_certificate_chain_validation = staticmethod(
                lambda *_: (True, "", "good", None)
            )
            with open(room_of.config.BaseSettings.DEVICE_ROOT_CERT, "rb") as file:
                room_of.root = self.crypto.load_certificate(self.crypto.FILETYPE_PEM, file.read())
        logging.disable(logging.CRITICAL)

    def _own_clock(self) -> None:
        """Every path of theirs, that of the XML signature library too, is checked through this one class."""
        context, library = self.crypto.X509StoreContext, self
        made = context.__init__

        def init(this: Any, store: Any, *rest: Any, **named: Any) -> None:
            store.set_time(library.at)
            made(this, store, *rest, **named)

        context.__init__ = init

    def chain(self, certificates: list[bytes], root: Any) -> list[Any]:
        """As their NVML layer hands it over: the device's own root is put away, the pinned one stands last."""
        loaded = [self.crypto.load_certificate(self.crypto.FILETYPE_ASN1, der) for der in certificates]
        return [*loaded[:-1], root]


def answer(library: Library, question: dict[str, Any]) -> dict[str, Any]:
    kind = question["kind"]
    library.at = datetime.fromtimestamp(question["at"], UTC)
    findings = Findings(kind)
    begun = time.perf_counter()
    (_gpu if kind == "gpu" else _switch)(library, question, findings)
    return {
        "seconds": time.perf_counter() - begun,
        "steps": {name: {"outcome": outcome, "why": why} for name, (outcome, why) in findings.steps.items()},
    }


def _gpu(library: Library, question: dict[str, Any], findings: Findings) -> None:
    room = library.gpu
    config = room.config
    # Theirs keep it in a class variable that the next device inherits.
    config.BaseSettings.CURRENT_OPAQUE_DATA_VERSION = 0
    settings = config.HopperSettings() if question["arch"] == "HOPPER" else config.BlackwellSettings()
    report = findings.run("parsed", lambda: room.report(bytes.fromhex(question["report"]), settings))
    if report is None:
        return
    opaque = report.get_response_message().get_opaque_data()
    chain = _chain(
        library, question, room, room.utils.verify_gpu_certificate_chain, opaque, settings,
        settings.check_if_gpu_attestation_report_cert_chain_fwid_matched, findings,
    )  # fmt: skip
    driver = _text(opaque.get_data("OPAQUE_FIELD_ID_DRIVER_VERSION"))
    vbios = _or_empty(lambda: room.version(opaque.get_data("OPAQUE_FIELD_ID_VBIOS_VERSION"))).lower()

    def whole(leaf: Any, nonce: bytes) -> Any:
        return room.utils.verify_attestation_report(
            attestation_report_obj=report, gpu_leaf_certificate=leaf, nonce=nonce,
            driver_version=driver, vbios_version=vbios, settings=settings,
        )  # fmt: skip

    _report(question, report, chain, settings, findings, whole)
    rims = {}
    for role, wanted in (("driver", driver), ("vbios", vbios)):
        matched = getattr(settings, f"check_if_gpu_{role}_rim_version_matched")
        rims[role] = _rim(
            f"{role}-rim",
            question["rims"].get(role),
            partial(room.rim, role, settings, ""),
            wanted,
            settings,
            matched,
            findings,
        )
    if all(rims.values()):
        findings.run(
            "measurements",
            lambda: room.compare(report, rims["driver"], rims["vbios"], settings).verify(settings),
        )
    else:
        findings.skip("measurements", "a manifest is missing or does not hold")


def _switch(library: Library, question: dict[str, Any], findings: Findings) -> None:
    room = library.switch
    settings = room.config.LS10Settings()
    report = findings.run(
        "parsed", lambda: room.report(bytes.fromhex(question["report"]), room.log, room.log)
    )
    if report is None:
        return
    opaque = report.get_response_message().get_opaque_data()
    chain = _chain(
        library, question, room, room.utils.verify_switch_certificate_chain, opaque, settings,
        settings.check_if_switch_attestation_report_cert_chain_fwid_matched, findings,
    )  # fmt: skip
    bios = _text(opaque.get_data("OPAQUE_FIELD_ID_VBIOS_VERSION"))

    def whole(leaf: Any, nonce: bytes) -> Any:
        return room.utils.verify_attestation_report(
            attestation_report_obj=report, switch_leaf_certificate=leaf, nonce=nonce,
            vbios_version=bios, settings=settings,
        )  # fmt: skip

    _report(question, report, chain, settings, findings, whole)
    rim = _rim(
        "bios-rim",
        question["rims"].get("bios"),
        lambda text: room.rim(
            rim_name="vbios", settings=settings, info_logger=room.log, debug_logger=room.log, content=text
        ),
        bios,
        settings,
        settings.check_if_rim_bios_version_matches,
        findings,
    )
    if rim:
        findings.run("measurements", lambda: room.compare(report, rim, settings).verify(settings))
    else:
        findings.skip("measurements", "a manifest is missing or does not hold")


def _chain(
    library: Library,
    question: dict[str, Any],
    room: Any,
    function: Callable[..., Any],
    opaque: Any,
    settings: Any,
    matched: Callable[[], Any],
    findings: Findings,
) -> list[Any] | None:
    """Their certificates, once they load. Theirs compare the FWID and then check the chain in one call; where
    the FWID stops it, the chain is asked for by itself."""
    loaded: list[Any] = []
    stated = opaque.get_data("OPAQUE_FIELD_ID_FWID") or b""
    mode = room.config.BaseSettings.Certificate_Chain_Verification_Mode
    mode = mode.GPU_ATTESTATION if question["kind"] == "gpu" else mode.SWITCH_ATTESTATION

    def step() -> Any:
        loaded.extend(library.chain([bytes.fromhex(der) for der in question["certificates"]], room.root))
        said = function(list(loaded), settings, stated.hex())
        return said[0] if said else room.utils.verify_certificate_chain(list(loaded), settings, mode)[0]

    findings.run("chain", step)
    if stated:
        findings.run("fwid", matched)
    else:
        findings.skip("fwid", "the report carries no FWID")
    return loaded or None


def _report(
    question: dict[str, Any],
    report: Any,
    chain: list[Any] | None,
    settings: Any,
    findings: Findings,
    whole: Callable[[Any, bytes], Any],
) -> None:
    """Nonce, versions and signature are one call of theirs, which stops at the first that does not hold."""
    nonce = (
        bytes.fromhex(question["nonce"]) if question["nonce"] else report.get_request_message().get_nonce()
    )
    if chain is None:
        findings.skip("nonce", "no certificate could be read")
        findings.skip("signature", "no certificate could be read")
        return
    findings.run("signature", lambda: whole(chain[0], nonce))
    matching = settings.check_if_nonce_are_matching()
    if not question["nonce"]:
        findings.skip("nonce", "no nonce was expected")
    else:
        findings.run("nonce", lambda: matching)
    if settings.check_if_attestation_report_signature_verified() is None:
        # It stopped before the signature: that is asked by itself.
        findings.run(
            "signature", lambda: report.verify_signature(chain[0].to_cryptography(), 96, hashlib.sha384)
        )


def _rim(
    name: str,
    text: str | None,
    read: Callable[[str], Any],
    wanted: str,
    settings: Any,
    matched: Callable[[], Any],
    findings: Findings,
) -> Any:
    if text is None:
        findings.skip(name, "no manifest for this version was given")
        return None
    held: list[Any] = []

    def step() -> Any:
        rim = read(text)
        good = rim.verify(version=wanted, settings=settings)[0]
        held.append(rim)
        # A manifest of another version is only a warning there, and refused when they sum up.
        return good and matched()

    return held[0] if findings.run(name, step) else None


def _text(value: Any) -> str:
    return _or_empty(lambda: bytes(value).decode().rstrip("\0"))


def _or_empty(make: Callable[[], str]) -> str:
    try:
        return make()
    except (TypeError, ValueError, IndexError, AttributeError):
        return ""


def _no_network() -> None:
    import socket

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("this process has no network")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse


def main() -> int:
    # Theirs print to stdout: only answers may leave by the stream we are read on.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _no_network()
    try:
        library = Library()
    except Exception as error:  # noqa: BLE001
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}), file=answers, flush=True)
        return 1
    packages = ("nv-local-gpu-verifier", "nv-attestation-sdk")
    ready = ", ".join(f"{name} {version(name)}" for name in packages)
    print(json.dumps({"ready": ready}), file=answers, flush=True)
    for line in iter(lambda: sys.stdin.readline(LONGEST_LINE), ""):
        if not line.strip():
            continue
        try:
            question = json.loads(line)
            made = answer(library, question)
        except Exception as error:  # noqa: BLE001  (one question must not end the conversation)
            made = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}
        print(json.dumps(made), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
