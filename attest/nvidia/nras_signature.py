"""Who signed the tokens of an answer: one algorithm, and the one key of the service's set that is named.

Nothing of a token's claims is read here but its issuer's name, to tell a local verifier's token by it.
Source: RFC 7515 §5.2; RFC 8725 §3.1 and §3.10.
"""

from __future__ import annotations

from attest.checks import CheckLog
from attest.errors import Malformed
from attest.nvidia.nras_keys import Jwks, ServiceKey
from attest.nvidia.nras_token import NrasAnswer, Token

ALGORITHM = "ES384"
SIGNATURE_CHECKS = ("nras.algorithm", "nras.key", "nras.signature")

_LOCAL_ISSUERS = ("LOCAL_GPU_VERIFIER", "LOCAL_SWITCH_VERIFIER", "NVAT-LOCAL-VERIFIER", "NV-Attestation-SDK")
_NO_KEY_HERE = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc")


def check_signatures(answer: NrasAnswer, keys: Jwks, log: CheckLog) -> ServiceKey | None:
    """The key that signed the overall token, once every token of the answer is signed; None otherwise."""
    signer = None
    before = len(log.problems)
    for name, token in (("overall", answer.overall), *answer.devices.items()):
        if not _algorithm(name, token, log):
            log.not_run("nras.key", "the token has another algorithm")
            log.not_run("nras.signature", "the token has another algorithm")
            continue
        key = _key(name, token, keys, log)
        if key is None:
            log.not_run("nras.signature", "there is no key to check it with")
            continue
        if not _holds(token, key):
            log.failed("nras.signature", "nras.signature.invalid", where=name, expected=f"by key {key.kid}")
        if name == "overall" or key.simulated:
            signer = key
    log.all_passed(SIGNATURE_CHECKS)
    return signer if len(log.problems) == before else None


def _algorithm(name: str, token: Token, log: CheckLog) -> bool:
    """ES384, whatever the header would like; and no key, address or extension in the header (T-JWTALG)."""
    stated = token.header.get("alg")
    issuer = token.claims.get("iss")
    if stated in ("none", "HS256") or issuer in _LOCAL_ISSUERS:
        log.failed(
            "nras.algorithm",
            "nras.local-token",
            where=name,
            expected=ALGORITHM,
            found=f"{stated} by {issuer}",
        )
        return False
    carried = [member for member in _NO_KEY_HERE if member in token.header]
    if carried:
        log.failed("nras.algorithm", "nras.header", where=name, found=", ".join(carried))
        return False
    return log.require(
        "nras.algorithm", stated == ALGORITHM, "nras.algorithm", where=name, expected=ALGORITHM, found=stated
    )


def _key(name: str, token: Token, keys: Jwks, log: CheckLog) -> ServiceKey | None:
    kid = token.header.get("kid")
    try:
        key = keys.key(kid) if isinstance(kid, str) else None
    except Malformed as error:
        log.absorb(error, "nras.key")
        return None
    if key is None:
        log.failed("nras.key", "nras.key.unknown", where=name, expected="a kid of the key set", found=kid)
    return key


def _holds(token: Token, key: ServiceKey) -> bool:
    import jwt

    try:
        # Only the signature: times and claims are judged below, against `at` and not against a clock.
        jwt.PyJWS(algorithms=[ALGORITHM]).decode_complete(token.raw, key.public, algorithms=[ALGORITHM])
    except jwt.PyJWTError:
        return False
    return True
