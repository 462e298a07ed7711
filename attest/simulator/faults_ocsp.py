"""Faults of OCSP answers about a device and its manifests' signers."""

from __future__ import annotations

from datetime import timedelta

from attest.simulator import ocsp
from attest.simulator.certificates import Extension, key_usage
from attest.simulator.device import DevicePlan
from attest.simulator.faults_gpu import GPU_FAULTS
from attest.simulator.ocsp import OcspPlan

_fault = GPU_FAULTS
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_RESPONDER = "nvidia.ocsp.responder"
_HOLD = 6


def _brom(plan: DevicePlan) -> OcspPlan:
    """The answer about the device itself."""
    return plan.answers["brom"]


def _copy(answer: OcspPlan, file: str) -> OcspPlan:
    return OcspPlan(
        file,
        answer.subject,
        answer.issuer,
        answer.this_update,
        answer.next_update,
        answer.produced_at,
        answer.responder,
    )


# -- what the responder says --------------------------------------------------------------------------------


@_fault("ocsp-revoked", "15.7 OCSP", "the device is revoked", "x509.revoked")
def _(plan: DevicePlan) -> None:
    _brom(plan).status, _brom(plan).reason = "revoked", 1


@_fault("ocsp-ca-revoked", "15.7 OCSP", "the provisioner CA is revoked", "x509.revoked")
def _(plan: DevicePlan) -> None:
    plan.answers["provisioner"].status = "revoked"


@_fault("ocsp-rim-revoked", "15.7 OCSP", "the manifests' signer is revoked", "x509.revoked")
def _(plan: DevicePlan) -> None:
    plan.answers["rim-signer"].status, plan.answers["rim-signer"].reason = "revoked", 9


@_fault(
    "ocsp-hold", "15.7 OCSP", "the device is on hold", claims={"cert": "hold"}, warnings="nvidia.ocsp.hold"
)
def _(plan: DevicePlan) -> None:
    _brom(plan).status, _brom(plan).reason = "revoked", _HOLD


@_fault("ocsp-rim-hold", "15.7 OCSP", "the manifests' signer is on hold",
        claims={"cert": "hold"}, warnings="nvidia.ocsp.hold")  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.answers["rim-signer"].status, plan.answers["rim-signer"].reason = "revoked", _HOLD


@_fault("ocsp-unknown", "15.7 OCSP", "the responder does not know the device",
        claims={"cert": "unknown"}, warnings="nvidia.ocsp.unknown")  # fmt: skip
def _(plan: DevicePlan) -> None:
    _brom(plan).status = "unknown"


@_fault("ocsp-missing", "15.7 OCSP", "no answer about the device",
        claims={"cert": "absent"}, warnings="revocation-unchecked")  # fmt: skip
def _(plan: DevicePlan) -> None:
    del plan.answers["brom"]


@_fault("ocsp-rim-missing", "15.7 OCSP", "no answer about the manifests' signer",
        claims={"cert": "absent"}, warnings="revocation-unchecked")  # fmt: skip
def _(plan: DevicePlan) -> None:
    del plan.answers["rim-signer"]


@_fault(
    "ocsp-older-good",
    "15.7 several answers",
    "an older good answer beside one that says revoked",
    "x509.revoked",
)
def _(plan: DevicePlan) -> None:
    newer = plan.answers["newer"] = _copy(_brom(plan), "simulated-ocsp-newer.der")
    newer.this_update += _HOUR
    newer.status = "revoked"


@_fault(
    "ocsp-newer-good",
    "15.7 several answers",
    "a newer good answer beside one that says revoked",
    "x509.revoked",
)
def _(plan: DevicePlan) -> None:
    older = plan.answers["older"] = _copy(_brom(plan), "simulated-ocsp-older.der")
    older.this_update -= _HOUR
    older.status = "revoked"


# -- when -------------------------------------------------------------------------------------------------------


@_fault("ocsp-stale", "15.7 window", "the answer about the device is of last week",
        claims={"cert": "unknown"}, warnings="nvidia.ocsp.stale")  # fmt: skip
def _(plan: DevicePlan) -> None:
    answer = _brom(plan)
    answer.this_update, answer.next_update = plan.at - 7 * _DAY, plan.at - 6 * _DAY


@_fault("ocsp-of-tomorrow", "15.7 window", "the answer about the device is not good yet",
        claims={"cert": "unknown"}, warnings="nvidia.ocsp.stale")  # fmt: skip
def _(plan: DevicePlan) -> None:
    answer = _brom(plan)
    answer.this_update, answer.next_update = plan.at + _DAY, plan.at + 2 * _DAY


@_fault("ocsp-endless", "15.7 window", "the answer names no end, and is two hours old",
        claims={"cert": "unknown"}, warnings="nvidia.ocsp.stale")  # fmt: skip
def _(plan: DevicePlan) -> None:
    answer = _brom(plan)
    answer.this_update, answer.next_update = plan.at - 2 * _HOUR, None


@_fault(
    "ocsp-responder-expired",
    "15.7 responder",
    "the responder's certificate ended an hour ago",
    "x509.expired",
)
def _(plan: DevicePlan) -> None:
    responder = _brom(plan).responder
    assert responder is not None
    responder.not_after = plan.at - _HOUR


@_fault(
    "ocsp-responder-not-yet",
    "15.7 responder",
    "the responder's certificate begins after it answered",
    _RESPONDER,
)
def _(plan: DevicePlan) -> None:
    responder = _brom(plan).responder
    assert responder is not None
    responder.not_before = plan.at - _HOUR


# -- who --------------------------------------------------------------------------------------------------------


@_fault(
    "ocsp-foreign-responder",
    "15.7 responder",
    "the device's answer comes from the root's responder",
    _RESPONDER,
)
def _(plan: DevicePlan) -> None:
    _brom(plan).responder = plan.answers["identity"].responder


@_fault("ocsp-self-made", "15.7 responder", "a responder of one's own, with the right names", _RESPONDER)
def _(plan: DevicePlan) -> None:
    responder = _brom(plan).responder
    assert responder is not None
    responder.key = responder.signer = "p384/stranger"


@_fault("ocsp-no-purpose", "15.7 responder", "a certificate without OCSPSigning answers", _RESPONDER)
def _(plan: DevicePlan) -> None:
    responder = _brom(plan).responder
    assert responder is not None
    responder.drop(ocsp.EXTENDED_KEY_USAGE)


@_fault(
    "ocsp-may-not-sign", "15.7 responder", "the responder's key has no digitalSignature", "x509.key-usage"
)
def _(plan: DevicePlan) -> None:
    responder = _brom(plan).responder
    assert responder is not None
    responder.put(key_usage("content_commitment"))


@_fault("ocsp-critical-extension", "15.7 responder", "an unknown extension of the responder is critical",
        "x509.critical-extension")  # fmt: skip
def _(plan: DevicePlan) -> None:
    responder = _brom(plan).responder
    assert responder is not None
    responder.put(Extension("1.3.6.1.4.1.5703.99", b"\x05\x00", True))


@_fault("ocsp-signature", "15.7 signature", "another key signed the answer", "nvidia.ocsp.signature")
def _(plan: DevicePlan) -> None:
    _brom(plan).signer = "p384/stranger"


@_fault("ocsp-stranger-as-issuer", "15.7 signature", "the issuer itself answers, signed by another",
        "nvidia.ocsp.signature")  # fmt: skip
def _(plan: DevicePlan) -> None:
    _brom(plan).responder, _brom(plan).signer = None, "p384/stranger"


# -- form -------------------------------------------------------------------------------------------------------


@_fault(
    "ocsp-of-another", "15.7 CertID", "the answer is about another serial number", claims={"cert": "absent"}
)
def _(plan: DevicePlan) -> None:
    _brom(plan).serial = 4711


@_fault("ocsp-of-another-issuer", "15.7 CertID", "the answer is about this serial number of another issuer",
        claims={"cert": "absent"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    _brom(plan).issuer = plan.answers["provisioner"].issuer


@_fault("ocsp-doubled", "15.7 CertID", "one answer speaks of the device twice", "nvidia.ocsp.ambiguous")
def _(plan: DevicePlan) -> None:
    _brom(plan).spoken_of = 2


@_fault(
    "ocsp-critical-single",
    "15.7 form",
    "the statement has an unknown critical extension",
    "nvidia.ocsp.malformed",
)
def _(plan: DevicePlan) -> None:
    _brom(plan).critical = True


@_fault("ocsp-try-later", "15.7 form", "the responder said: try later", "nvidia.ocsp.unsuccessful")
def _(plan: DevicePlan) -> None:
    _brom(plan).outcome = 3
