"""Believing a manifest: its XML signature under its own leaf, and the leaf's chain to the RIM root.

The two are bound by one certificate: the chain is checked first, and the signature then under exactly the
leaf of that chain. Golden values are read from the tree that signxml hands back as signed, from nothing else.

Time: signxml looks at the leaf's validity whenever it verifies. It is given an instant inside that
validity, so what it says holds at any time and may be cached; whether certificates are valid at the
instant of verification is asked of the path each time (`attest.path.Path.in_time`).
Source: W3C XML Signature 1.1; RFC 5280 §6.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache as keep
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import Certificate as X509Certificate

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.errors import Malformed
from attest.nvidia.rim import Rim, Statement, hardened_parser, read_statement
from attest.nvidia.rim_payload import read_measurements
from attest.path import Path, PathRule, check_path

_UNVERIFIABLE = (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError)
"""What `cryptography` and signxml raise besides their own on documents and keys that are no use."""


@dataclass(frozen=True, slots=True)
class VerifiedRim:
    """stated, golden: read from signed bytes only. golden: manifest index → alternatives, active entries.
    path: the signer's chain, not yet judged in time. digest: SHA-256 of the document."""

    stated: Statement
    golden: Mapping[int, tuple[bytes, ...]]
    path: Path
    digest: bytes


_Signed: TypeAlias = tuple[Statement, Mapping[int, tuple[bytes, ...]]]


@dataclass(frozen=True, slots=True)
class _Refused:
    """why: the code of a problem, or what reading the signed part raised."""

    why: str | Malformed


@keep
def _rule(check: str) -> PathRule:
    # One signer may sign both manifests: the role keeps the paths apart, as each reports under its check.
    # Names of signer and intermediates change with every generation of chips; the root is pinned by key.
    return PathRule(role=check.partition(".")[2], names=(None,) * 4, keys=("P-384",) * 4, check=check)


def check_rim(
    rim: Rim, check: str, *, at: datetime, anchors: Anchors, log: CheckLog, cache: Cache
) -> VerifiedRim | None:
    """Verify chain and signature of a manifest; None after recording why not under `check`.

    Both are looked at even when one fails. Of a manifest that holds, validity in time is left to the
    caller, who may have a newer one; of one that does not, it is recorded here with the rest.
    """
    key = cache.key(f"rim/{check}", anchors.digest, [rim.digest])
    verified: VerifiedRim | None = cache.get(key)
    if verified is not None:
        return verified
    path = _chain(rim, check, anchors, log, cache)
    signed = _signed(rim, check, log, cache)
    if path is None or signed is None:
        if path is not None:
            path.in_time(at, log, of=f"manifest {rim.stated.version.shown}")
        return None
    verified = VerifiedRim(*signed, path, rim.digest)
    cache.put(key, verified)
    return verified


def _chain(rim: Rim, check: str, anchors: Anchors, log: CheckLog, cache: Cache) -> Path | None:
    if len(rim.chain) == 3:
        # Manifests embed their root; with one certificate missing the rest must not pass as a chain.
        log.failed(check, "x509.depth", where="rim", expected=4, found=3)
        return None
    return check_path(
        rim.chain, anchors=anchors, anchor_role="nvidia-rim", rule=_rule(check), log=log, cache=cache
    )


def _signed(rim: Rim, check: str, log: CheckLog, cache: Cache) -> _Signed | None:
    """What stands inside the signed bytes, when the signature holds under the manifest's first certificate.

    Kept, whatever it is, as a fact about bytes alone: every device of a machine asks about the same manifests.
    """
    key = cache.key("rim/signed", b"", [rim.digest])
    outcome: _Signed | _Refused | None = cache.get(key)
    if outcome is None:
        outcome = _read_signed(rim)
        cache.put(key, outcome)
    if not isinstance(outcome, _Refused):
        return outcome
    if isinstance(outcome.why, Malformed):
        log.absorb(outcome.why, check)
    else:
        by = rim.chain[0].common_name.shown if outcome.why == "nvidia.rim.signature" else None
        log.failed(check, outcome.why, where=f"rim {rim.stated.version.shown}", expected=by and f"by {by}")
    return None


def _read_signed(rim: Rim) -> _Signed | _Refused:
    from lxml.etree import LxmlError
    from signxml.exceptions import InvalidDigest, SignXMLException

    try:
        signed = _verify_xml(rim.raw, rim.chain[0].parsed)
        statement, payload = read_statement(signed, signed=False)
        return statement, read_measurements(payload)
    except InvalidDigest:
        return _Refused("nvidia.rim.digest")
    except (SignXMLException, LxmlError, *_UNVERIFIABLE):
        return _Refused("nvidia.rim.signature")
    except Malformed as error:
        return _Refused(Malformed(*error.problems))  # without the trace, which would hold the tree


def _verify_xml(document: bytes, leaf: X509Certificate) -> Any:
    from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    configuration = SignatureConfiguration(
        require_x509=True,
        location="./",
        expect_references=1,
        signature_methods=frozenset({SignatureMethod.ECDSA_SHA384}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA384}),
        ignore_ambiguous_key_info=False,
        verification_time=leaf.not_valid_before_utc,
        default_reference_c14n_method=CanonicalizationMethod.CANONICAL_XML_1_1,
    )
    result = XMLVerifier().verify(
        document,
        x509_cert=leaf,
        parser=hardened_parser(),
        validate_schema=False,  # `Rim.parse` admits one form only, narrower than the schema's
        expect_config=configuration,
    )
    assert not isinstance(result, list)  # one reference was asked for
    return result.signed_xml
