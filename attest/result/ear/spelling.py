"""Three spellings of the same result, each for the software that reads it.

    veraison  Veraison's Go package `ear`: its struct, and not one member more
    trustee   Trustee's brokers and their policies
    ietf      draft-ietf-rats-ear-03; the one to write where nothing else is asked for

All three can carry what the specification of a result has no name for as a part's annotated evidence: whether
the evidence was simulated, and the digest of the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

Name: TypeAlias = Literal["veraison", "ietf", "trustee"]
Form: TypeAlias = Literal["jwt", "cwt"]
NAMES: tuple[Name, ...] = get_args(Name)
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, slots=True)
class Spelling:
    """profile: of `eat_profile`. jwt_type: the header's `typ`, as this consumer's own issuers write it. status,
    vector, policies, verifier, annotated: names of claims. many_policies: whether `policies` is a list. overall:
    whether the status of the whole machine has a place. forms: what its consumers read. audience: whether they
    take a token with `aud`."""

    name: Name
    profile: str
    jwt_type: str
    status: str
    vector: str
    policies: str
    verifier: str
    annotated: str
    many_policies: bool
    overall: bool
    forms: tuple[Form, ...]
    audience: bool


_VERAISON = Spelling(
    name="veraison",
    profile="tag:github.com,2023:veraison/ear",
    jwt_type="JWT",
    status="ear.status",
    vector="ear.trustworthiness-vector",
    policies="ear.appraisal-policy-id",
    verifier="ear.verifier-id",
    annotated="ear.veraison.annotated-evidence",
    many_policies=False,
    overall=False,
    forms=("jwt", "cwt"),
    audience=True,
)
_IETF = Spelling(
    name="ietf",
    profile="tag:ietf.org,2026:rats/ear#03",
    jwt_type="eat+jwt",
    status="ear_status",
    vector="ear_trustworthiness_vector",
    policies="ear_appraisal_policy_ids",
    verifier="ear_verifier_id",
    annotated="ear_veraison_annotated_evidence",
    many_policies=True,
    overall=True,
    forms=("jwt", "cwt"),
    audience=True,
)
_TRUSTEE = replace(
    _VERAISON,
    name="trustee",
    profile="tag:github.com,2024:confidential-containers/Trustee",
    forms=("jwt",),
    # Its broker names no audience to its JWT library, which then refuses every token that has one.
    audience=False,
)
SPELLINGS: Mapping[Name, Spelling] = MappingProxyType(
    {"veraison": _VERAISON, "ietf": _IETF, "trustee": _TRUSTEE}
)
