"""Faults of an answer of the remote attestation service, by the number of the check that must refuse each."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from attest.simulator import nras
from attest.simulator.fault import FaultTable
from attest.simulator.nras import NrasPlan

NRAS_FAULTS = FaultTable("nras")
_fault = NRAS_FAULTS
_FIRST = "GPU-0"


# -- 1 to 3: who signed ------------------------------------------------------------------------------------------


@_fault("alg-none", "12.1 algorithm", "the overall token is signed by nobody", "nras.local-token")
def _(plan: NrasPlan) -> None:
    plan.overall.header["alg"] = "none"
    plan.overall.signature = b""


@_fault("hs256", "12.1 algorithm", "a device's token has the local verifier's algorithm", "nras.local-token")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].header["alg"] = "HS256"
    plan.devices[_FIRST].signature = bytes(32)


@_fault("alg-es256", "12.1 algorithm", "the header names another algorithm", "nras.algorithm")
def _(plan: NrasPlan) -> None:
    plan.overall.header["alg"] = "ES256"


@_fault("header-jwk", "12.1 header", "the header brings the key to check with", "nras.header")
def _(plan: NrasPlan) -> None:
    plan.overall.header["jwk"] = {"kty": "EC", "crv": "P-384"}


@_fault("header-jku", "12.1 header", "the header says where to fetch the key", "nras.header")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].header["jku"] = "https://example.com/jwks.json"


@_fault("header-crit", "12.1 header", "the header demands an extension", "nras.header")
def _(plan: NrasPlan) -> None:
    plan.overall.header.update(crit=["b64"], b64=False)


@_fault("kid-unknown", "12.2 key", "the key is not in the service's set", "nras.key.unknown")
def _(plan: NrasPlan) -> None:
    plan.overall.header["kid"] = "nv-eat-kid-prod-0"


@_fault("kid-missing", "12.2 key", "a device's token names no key", "nras.key.unknown")
def _(plan: NrasPlan) -> None:
    del plan.devices[_FIRST].header["kid"]


@_fault("x5c-of-another-key", "12.2 key", "key and certificate of the set differ", "nras.keys")
def _(plan: NrasPlan) -> None:
    stranger = base64.b64encode(nras.certificate(plan.keys, plan.at, "p384/stranger")).decode()
    plan.jwk = lambda member: member.update(x5c=[stranger])
    plan.devices[_FIRST].header["kid"] = plan.overall.header["kid"]


@_fault("signature", "12.3 signature", "another key signed the overall token", "nras.signature.invalid")
def _(plan: NrasPlan) -> None:
    plan.overall.key = "p384/stranger"


@_fault("altered", "12.3 signature", "a denial was turned into consent afterwards", "nras.signature.invalid")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["x-nvidia-overall-att-result"] = False

    def edit(text: str) -> str:
        header, claims, signature = text.split(".")
        document = json.loads(base64.urlsafe_b64decode(claims + "=="))
        document["x-nvidia-overall-att-result"] = True
        body = base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).rstrip(b"=")
        return f"{header}.{body.decode()}.{signature}"

    plan.overall.edit = edit


@_fault("device-signature", "12.3 signature", "another key signed a device's token", "nras.signature.invalid")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].key = "p384/stranger"


# -- 4 to 7: for whom, when, about what ----------------------------------------------------------------------------


@_fault("issuer-staging", "12.4 issuer", "the staging service's overall token", "nras.issuer")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["iss"] = "https://nras.attestation-stg.nvidia.com"


@_fault("device-issuer", "12.4 issuer", "a device's token names no issuer", "nras.issuer")
def _(plan: NrasPlan) -> None:
    del plan.devices[_FIRST].claims["iss"]


@_fault("expired", "12.5 time", "the token ended 61 seconds ago", "nras.expired")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["exp"] = int(plan.at.timestamp()) - 61


@_fault("device-expired", "12.5 time", "a device's token ended 61 seconds ago", "nras.expired")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["exp"] = int(plan.at.timestamp()) - 61


@_fault("not-before", "12.5 time", "the token begins in 61 seconds", "nras.not-yet-valid")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["nbf"] = int(plan.at.timestamp()) + 61


@_fault("issued-later", "12.5 time", "the token is issued in 61 seconds", "nras.not-yet-valid")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["iat"] = int(plan.at.timestamp()) + 61


@_fault("no-end", "12.5 time", "the token never expires", "nras.claims")
def _(plan: NrasPlan) -> None:
    del plan.overall.claims["exp"]


@_fault("end-as-text", "12.5 time", "the time of expiry is text", "nras.claims")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["exp"] = "4102444800"


@_fault("subject", "12.5 claims", "the token is about something else", "nras.claims")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["sub"] = "NVIDIA-OTHER"


@_fault("version", "12.5 claims", "claims of a version nobody knows", "nras.version")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["x-nvidia-ver"] = "9.0"


@_fault("nonce", "12.6 nonce", "the overall token answers another challenge", "nras.nonce")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["eat_nonce"] = "5a" * 32


@_fault("device-nonce", "12.6 nonce", "a device's token answers another challenge", "nras.nonce")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["eat_nonce"] = "5a" * 32


@_fault("nonce-missing", "12.6 nonce", "the token answers no challenge", "nras.nonce")
def _(plan: NrasPlan) -> None:
    del plan.overall.claims["eat_nonce"]


# -- 7, 8: the devices' tokens are those meant -----------------------------------------------------------------------


@_fault("device-replaced", "12.7 digest", "a device's token is another genuine one", "nras.digest")
def _(plan: NrasPlan) -> None:
    other = copy.deepcopy(plan.devices[_FIRST].claims)
    other["jti"] = "simulated-earlier"

    def after(tokens: dict[str, str]) -> None:
        tokens[_FIRST] = nras.TokenPlan(other).build(plan.keys)

    plan.after = after


@_fault("digest-algorithm", "12.7 digest", "the digest is of an algorithm nobody asked for", "nras.digest")
def _(plan: NrasPlan) -> None:
    def edit(submods: dict[str, Any]) -> None:
        submods[_FIRST][1][0] = "MD5"

    plan.submods = edit


@_fault(
    "module-unnamed", "12.7 submodules", "the overall token does not name a device's token", "nras.submodules"
)
def _(plan: NrasPlan) -> None:
    plan.submods = dict.clear


@_fault("module-missing", "12.7 submodules", "a device's token that the overall one names is not there",
        "nras.submodules")  # fmt: skip
def _(plan: NrasPlan) -> None:
    def edit(submods: dict[str, Any]) -> None:
        submods["GPU-1"] = submods[_FIRST]

    plan.submods = edit


@_fault(
    "device-left-out", "12.8 count", "two devices were sent, the answer is about one", "nras.count", gpus=2
)
def _(plan: NrasPlan) -> None:
    del plan.devices["GPU-1"]


@_fault("device-twice", "12.8 identity", "both modules speak of one device", "nras.identity", gpus=2)
def _(plan: NrasPlan) -> None:
    plan.devices["GPU-1"].claims["ueid"] = plan.devices[_FIRST].claims["ueid"]


@_fault("device-of-another", "12.8 identity", "the module speaks of a device of elsewhere", "nras.identity")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["ueid"] = "1"


@_fault("driver-of-another", "12.8 identity", "the module speaks of another driver", "nras.identity")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["x-nvidia-gpu-driver-version"] = "999.99"


# -- 9, 10: what it says -------------------------------------------------------------------------------------------------


@_fault("overall-false", "12.9 verdict", "the service refuses the platform", "nras.verdict")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["x-nvidia-overall-att-result"] = False


@_fault("overall-text", "12.9 verdict", "the verdict is the text false", "nras.verdict")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["x-nvidia-overall-att-result"] = "false"


@_fault("error", "12.9 verdict", "the service reports an error", "nras.error")
def _(plan: NrasPlan) -> None:
    plan.overall.claims["x-nvidia-error-details"] = {"code": 4012, "message": "Invalid nonce"}


@_fault("measurements", "12.10 device", "the measurements do not match", "nras.device")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["measres"] = "fail"


@_fault("claim-missing", "12.10 device", "nothing is said of the report's signature", "nras.device")
def _(plan: NrasPlan) -> None:
    del plan.devices[_FIRST].claims["x-nvidia-gpu-attestation-report-signature-verified"]


@_fault("claim-as-text", "12.10 device", "a claim is the text true", "nras.device")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["x-nvidia-gpu-arch-check"] = "true"


@_fault("rim-revoked", "12.10 device", "the driver manifest's signer is revoked", "nras.device")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["x-nvidia-gpu-driver-rim-cert-chain"]["x-nvidia-cert-ocsp-status"] = "revoked"


@_fault("hold", "12.10 device", "a certificate is on hold", "nras.warning")
def _(plan: NrasPlan) -> None:
    plan.devices[_FIRST].claims["x-nvidia-attestation-warning"] = "a certificate is on hold"
