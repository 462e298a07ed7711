"""CoRIM, draft-ietf-rats-corim-00 and 06 to 11: reference values, signed ones checked.

A CoRIM says which states of a machine somebody vouches for. What it says of an SNP report or a TDX module and TD
becomes reference sets with its dates and origin, and rules; everything else is listed by its path. Of the drafts 01 to
05 a triple with one measurement outside a list is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from attest.claims import instant
from attest.errors import Rejected
from attest.policy.interchange.corim.comid import Triple, triples
from attest.policy.interchange.corim.envelope import corim_map, outermost
from attest.policy.interchange.corim.items import opened
from attest.policy.interchange.corim.manifest import Manifest, read_manifest
from attest.policy.interchange.corim.signature import Signed, verified
from attest.policy.interchange.corim.signer import Signer, read_signers
from attest.policy.interchange.corim.snp import CLASSES, SnpReader
from attest.policy.interchange.corim.states import State, write_states
from attest.policy.interchange.corim.tdx import ENCLAVES, MODULE, TdxReader
from attest.policy.interchange.corim.validity import Validity
from attest.policy.interchange.draft import Draft
from attest.problems import problem
from attest.untrusted import escape

__all__ = ["ENVIRONMENTS", "Environment", "Signer", "read_corim", "read_signers"]

Environment: TypeAlias = Literal["snp", "tdx"]
ENVIRONMENTS: tuple[Environment, ...] = ("snp", "tdx")
_NAMED = frozenset({*CLASSES, MODULE, *ENCLAVES})
_ENCLAVE = "tcb-status judges Intel's enclaves by Intel's levels"


def read_corim(
    data: bytes, *, at: datetime, signers: Sequence[Signer] = (), environment: Environment | None = None
) -> Draft:
    """signers: whom the reader trusts; of a signed CoRIM one must have signed it. at: the instant that its dates
    must hold. environment: what the one class is that no profile names.

    Raises Malformed (`corim.*`) or Rejected (`corim.*`, `x509.*`).
    """
    draft = Draft("a CoRIM")
    message = outermost(data)
    signed = None
    if message.tag is not None:
        signed = verified(message, signers, at)
        body = corim_map(opened(signed.payload, "corim"))
    elif signers:
        raise Rejected(
            [problem("corim.not-signed", where="corim", expected="by a signer named", found="nobody")]
        )
    else:
        body = message
    manifest = read_manifest(body, draft)
    manifest.validity.holds("corim.rim-validity", at)
    validity = manifest.validity.within(signed.validity if signed else Validity())
    _notes(draft, data, manifest, signed)
    _states(draft, manifest, validity, _origin(manifest, signed), environment)
    return draft


def _origin(manifest: Manifest, signed: Signed | None) -> str:
    if signed is None:
        return f"unsigned CoRIM {manifest.id}"
    return f"CoRIM {manifest.id}, signed by {signed.name}, key {signed.key[:16]}"


def _notes(draft: Draft, data: bytes, manifest: Manifest, signed: Signed | None) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if signed is None:
        draft.notes.append(
            f"CoRIM {manifest.id} is unsigned: nobody vouches for these values. SHA-256 of the file {digest}"
        )
    else:
        carried = signed.by and f", certificate {signed.by.common_name.shown}, revocation not checked"
        draft.notes.append(
            f"CoRIM {manifest.id} was signed with key {signed.key}{carried or ''}; the signer calls itself {signed.name}"
        )


def _states(
    draft: Draft,
    manifest: Manifest,
    validity: Validity,
    origin: str,
    environment: Environment | None,
) -> None:
    found = [one for comid in manifest.comids for one in triples(comid, draft)]
    told = _told(draft, found, environment)
    snp, tdx = SnpReader(draft), TdxReader(draft, manifest.profile)
    reports: list[State] = []
    modules: list[State] = []
    guests: list[State] = []
    for triple in found:
        kind = triple.environment.class_id
        if kind in CLASSES or (told == "snp" and kind not in _NAMED):
            reports.append(snp.state(triple))
        elif kind == MODULE:
            modules.append(tdx.state(triple, "module"))
        elif told == "tdx" and kind not in _NAMED:
            guests.append(tdx.state(triple, "td"))
        else:
            why = _ENCLAVE if kind in ENCLAVES else "no machine that is known here; see --environment"
            draft.lost(triple.path, triple.environment.named, why)
    for section, states in (("snp", reports), ("tdx", modules), ("tdx", guests)):
        write_states(draft, section, states, validity=validity, origin=origin)
    _ends(draft, validity)
    sections = {one.section for one in draft.entries} | {one.section for one in draft.choices}
    draft.platforms = [section for section in ENVIRONMENTS if section in sections]


def _ends(draft: Draft, validity: Validity) -> None:
    if validity.ends is None:
        draft.notes.append("the CoRIM has no end; give the values an until of your own")
    elif draft.references:
        ends = instant(validity.ends)
        draft.notes.append(f"values end with the CoRIM, on {ends}; rules beside them do not")
    elif draft.entries or draft.choices:
        draft.lost("corim.rim-validity", "not-after", "no value came of the CoRIM, and rules have no end")


def _told(draft: Draft, found: Sequence[Triple], environment: Environment | None) -> Environment | None:
    """`environment`, where it can mean one class alone."""
    others = {one.environment.identity: one.environment for one in found}
    others = {key: one for key, one in others.items() if one.class_id not in _NAMED}
    if environment is None or not others:
        return None
    if len(others) > 1:
        draft.notes.append(f"--environment {environment} was not taken: {len(others)} classes are not known")
        return None
    draft.notes.append(f"you said that {escape(next(iter(others.values())).named)} is {environment}")
    return environment
