"""NVIDIA's policies: each claim a rule, checked without one, or listed; never looser than theirs unsaid."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.anchors import Anchors
from attest.binding import Expected
from attest.errors import Malformed, Rejected
from attest.nvidia.nras_claims import VERSION, Form, required
from attest.policy import Policy, appraise
from attest.policy.interchange.draft import Draft, write
from attest.policy.interchange.json_lines import read_located
from attest.policy.interchange.nvidia import read_nvidia
from attest.simulator import Simulator
from attest.verifier import verify
from tests.conftest import NOON
from tests.counts import tenth
from tests.policy.conftest import GPU, NOW, SWITCH, tree, verified_of

NONCE = bytes(range(32))
FORMS: tuple[Form, ...] = ("2-api", "2.0", "3.0")
VERSIONS: dict[Form, str] = {"2-api": "2.0", "2.0": "3.0", "3.0": "4.0"}
"""Form of the token → version of the policies that NVIDIA wrote for it."""


def claims_of(kind: str, form: Form) -> dict[str, Any]:
    """`detached-claims` of a policy that asks all that a token of the form can say."""
    found: dict[str, Any] = {}
    for path, value in required(kind, form):
        at = found
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = value
    return found


def policy(
    detached: Mapping[str, Any], overall: Mapping[str, Any] | None = None, version: str = "4.0"
) -> bytes:
    rules = {"type": "JWT", "overall-claims": overall or {}, "detached-claims": detached}
    return json.dumps({"version": version, "authorization-rules": rules}, indent=1).encode()


def flat(rules: Mapping[str, Any]) -> bytes:
    return json.dumps({"version": "1.0", "authorization-rules": rules}, indent=1).encode()


def full(kind: str, form: Form) -> bytes:
    overall = {"x-nvidia-overall-att-result": True, "x-nvidia-ver": VERSION[form]}
    return policy(claims_of(kind, form), overall, VERSIONS[form])


def rules_of(draft: Draft) -> dict[tuple[str, str], str]:
    return {(one.section, one.claim): one.operand for one in draft.entries}


def lost(draft: Draft) -> list[tuple[int | None, str]]:
    return [(one.line, one.what) for one in draft.unmapped]


def meets(token: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Their comparison: each claim of the policy stands in the token and is equal, maps member by member."""
    return all(
        name in token
        and (
            meets(token[name], value)
            if isinstance(value, dict) and isinstance(token[name], dict)
            else token[name] == value
        )
        for name, value in asked.items()
    )


# -- what becomes of the claims -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "rims"), [("gpu", ("driver-rim", "vbios-rim")), ("switch", ("bios-rim",))])
def test_a_policy_of_all_claims_is_mapped_whole(kind: str, rims: tuple[str, ...], form: Form) -> None:
    draft = read_nvidia(full(kind, form))
    assert lost(draft) == []
    assert rules_of(draft) == {
        (kind, "count"): "{at-least: 1}",
        ("binding", "nonce"): "true",
        (kind, "measurements"): "match",
        (kind, "cert"): "good",
        **{(kind, rim): "valid" for rim in rims},
    }
    assert Policy.from_text(write(draft, name="a")).platforms == {"none"}
    assert any("checked of every device without a rule" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("measres", "success", ("gpu", "measurements")),
        ("secboot", True, ("gpu", "measurements")),
        ("dbgstat", "disabled", ("gpu", "measurements")),
        ("x-nvidia-gpu-vbios-index-no-conflict", True, ("gpu", "measurements")),
        ("x-nvidia-mismatch-measurement-records", None, ("gpu", "measurements")),
        ("x-nvidia-gpu-attestation-report-nonce-match", True, ("binding", "nonce")),
        ("x-nvidia-gpu-nonce-match", True, ("binding", "nonce")),
        ("x-nvidia-gpu-driver-rim-fetched", True, ("gpu", "driver-rim")),
        ("x-nvidia-gpu-vbios-rim-version-match", True, ("gpu", "vbios-rim")),
        ("x-nvidia-gpu-driver-rim-cert-validated", True, ("gpu", "cert")),
        ("x-nvidia-gpu-attestation-report-cert-chain-validated", True, ("gpu", "cert")),
        ("x-nvidia-attestation-warning", None, ("gpu", "cert")),
        ("x-nvidia-gpu-driver-version", "535.104.05", ("gpu", "driver")),
        ("x-nvidia-gpu-vbios-version", "96.00.5E.00.02", ("gpu", "vbios")),
        ("x-nvidia-switch-bios-version", "96.10.55.00.01", ("switch", "bios")),
        ("x-nvidia-switch-vbios-rim-schema-fetched", True, ("switch", "bios-rim")),
    ],
)
def test_one_claim_asks_its_rule(name: str, value: object, rule: tuple[str, str]) -> None:
    kind = {"x-nvidia-device-type": "switch" if rule[0] == "switch" else "gpu"}
    draft = read_nvidia(policy({**kind, name: value}))
    assert lost(draft) == []
    assert rule in rules_of(draft)
    Policy.from_text(write(draft, name="a"))


@pytest.mark.parametrize(
    ("chain", "rule"),
    [
        ({"x-nvidia-cert-status": "valid"}, "vbios-rim"),
        ({"x-nvidia-cert-ocsp-status": "good"}, "cert"),
        ({"x-nvidia-cert-revocation-reason": None}, "cert"),
        ({"x-nvidia-cert-ocsp-response-valid": True}, "cert"),
    ],
)
def test_a_chain_of_claims_version_3_asks_its_rules(chain: dict[str, Any], rule: str) -> None:
    draft = read_nvidia(policy({"x-nvidia-gpu-vbios-rim-cert-chain": chain}))
    assert lost(draft) == []
    assert list(rules_of(draft)) == [("gpu", "count"), ("gpu", rule)]


@pytest.mark.parametrize(
    "name", ["arch-check", "attestation-report-parsed", "attestation-report-cert-chain-fwid-match"]
)
def test_what_verification_always_checks_is_a_note(name: str) -> None:
    draft = read_nvidia(policy({f"x-nvidia-gpu-{name}": True}))
    assert not draft.unmapped
    assert list(rules_of(draft)) == [("gpu", "count")]
    assert any(f"x-nvidia-gpu-{name} (line 7)" in note for note in draft.notes)


GPU_CLAIM = "x-nvidia-gpu-arch-check"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "https://nras.attestation.nvidia.com"),
        ("eat_nonce", "00" * 32),
        ("ueid", "1234"),
        ("exp", 1),
        ("x-nvidia-gpu-driver-rim-fetched", False),
        ("x-nvidia-gpu-attestation-report-signature-verified", False),
        ("secboot", None),
        ("secboot", False),
        ("dbgstat", "enabled"),
        ("dbgstat", None),
        ("measres", "fail"),
        ("measres", "not-run"),
        ("measres", None),
        ("hwmodel", "RTX PRO 6000"),
        ("hwmodel", "LS_10 A01 FSP BROM"),
        ("x-nvidia-attestation-warning", "a certificate is on hold"),
        ("x-nvidia-mismatch-measurement-records", [{"index": 9}]),
        ("x-nvidia-gpu-driver-version", "new"),
        ("x-nvidia-gpu-driver-version", None),
        (
            "x-nvidia-gpu-vbios-version",
            "96.00.5e.00.02",
        ),  # compared as text there, and NVIDIA writes upper case
        ("x-nvidia-gpu-vbios-version", "9a.00.5E.00.02"),
        ("x-nvidia-gpu-vbios-version", "96.00.5E"),
        ("x-nvidia-gpu-bios-version", "96.10.55.00.01"),
        ("x-nvidia-gpu-switch-pdis", ["00"]),
        ("x-nvidia-switch-arch-check", True),
        ("x-nvidia-gpu-unheard-of", True),
        ("x-nv-gpu-cert-ocsp-nonce-match", True),
        ("x-nvidia-overall-att-result", True),
        ("x-nvidia-ver", "3.0"),
        ("x-nvidia-device-type", "switch"),
        ("oemid", "1"),
    ],
)
def test_what_has_no_counterpart_is_listed_with_its_line(name: str, value: object) -> None:
    draft = read_nvidia(policy({GPU_CLAIM: True, name: value}))
    assert lost(draft) == [(8, name)]
    assert list(rules_of(draft)) == [("gpu", "count")]
    Policy.from_text(write(draft, name="a"))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("x-nvidia-cert-status", "expired"),
        ("x-nvidia-cert-ocsp-status", "unknown"),
        ("x-nvidia-cert-ocsp-status", None),
        ("x-nvidia-cert-revocation-reason", "certificate_hold"),
        ("x-nvidia-cert-expiration-date", "9999-12-31T23:59:59Z"),
        ("x-nvidia-cert-ocsp-nonce-matches", True),
        ("x-nvidia-cert-ocsp-response-valid", False),
        ("x-nvidia-cert-colour", "green"),
    ],
)
def test_what_a_chain_cannot_say_here_is_listed(member: str, value: object) -> None:
    chain = "x-nvidia-gpu-driver-rim-cert-chain"
    draft = read_nvidia(policy({chain: {member: value}}))
    assert lost(draft) == [(8, f"{chain}.{member}")]


def test_a_model_pins_the_chip_and_lists_the_rest() -> None:
    draft = read_nvidia(policy({"hwmodel": "GH100 A01 GSP BROM", GPU_CLAIM: True}))
    assert rules_of(draft)["gpu", "model"] == "GH100"
    assert lost(draft) == [(7, "hwmodel")]


def test_claims_of_the_wrong_token_are_listed() -> None:
    draft = read_nvidia(policy({GPU_CLAIM: True}, {"measres": "success", "iss": "LOCAL_GPU_VERIFIER"}))
    assert lost(draft) == [(6, "measres"), (7, "iss")]
    assert list(rules_of(draft)) == [("gpu", "count")]


def test_the_overall_result_asks_whatever_their_verifier_checks() -> None:
    draft = read_nvidia(policy({GPU_CLAIM: True}, {"x-nvidia-overall-att-result": True}))
    assert rules_of(draft) == rules_of(read_nvidia(full("gpu", "3.0")))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"measres": "success"}, {"x-nvidia-gpu-measurements-match": True}),
        ({"x-nvidia-gpu-driver-rim-cert-validated": True}, {"x-nvidia-gpu-driver-rim-version-match": True}),
        (
            {"x-nvidia-gpu-claims-version": "2.0"},
            {"x-nvidia-gpu-vbios-rim-cert-chain": {"x-nvidia-cert-status": "valid"}},
        ),
    ],
)
def test_claims_that_no_one_token_has_are_listed(first: dict[str, Any], second: dict[str, Any]) -> None:
    draft = read_nvidia(policy({**first, **second}))
    assert [one.what for one in draft.unmapped] == list(second)


def test_a_policy_that_names_no_kind_of_device_says_so() -> None:
    draft = read_nvidia(policy({"measres": "success"}))
    assert lost(draft) == [(None, "kind of device")]
    assert ("gpu", "measurements") in rules_of(draft)


@pytest.mark.parametrize(
    ("issuer", "section"), [("LOCAL_GPU_VERIFIER", "gpu"), ("LOCAL_SWITCH_VERIFIER", "switch")]
)
def test_a_local_verifier_names_the_kind(issuer: str, section: str) -> None:
    draft = read_nvidia(policy({"measres": "success"}, {"iss": issuer}))
    assert lost(draft) == [(6, "iss")]
    assert (section, "measurements") in rules_of(draft)


def test_the_first_local_verifiers_flags() -> None:
    names = "available cert-chain-verified nonce-match measurements-match driver-vbios-rim-fetched cert-check-complete"
    draft = read_nvidia(flat({f"x-nv-gpu-{name}": True for name in names.split()}))
    assert lost(draft) == []
    assert set(rules_of(draft)) == {
        ("gpu", "count"), ("binding", "nonce"), ("gpu", "measurements"), ("gpu", "vbios-rim"), ("gpu", "cert"),
    }  # fmt: skip


def test_the_first_remote_policies() -> None:
    detailed = {
        "x-nvidia-gpu-nonce-match": True,
        "x-nvidia-gpu-driver-rim-driver-measurements-available": True,
    }
    draft = read_nvidia(
        flat(
            {
                "sub": "NVIDIA-GPU-ATTESTATION",
                "x-nvidia-gpu-manufacturer": "NVIDIA Corporation",
                "x-nvidia-attestation-type": "GPU",
                "x-nvidia-attestation-detailed-result": detailed,
                "measres": "comparison-successful",
            }
        )
    )
    assert lost(draft) == [(4, "sub")]
    assert set(rules_of(draft)) == {
        ("gpu", "count"), ("binding", "nonce"), ("gpu", "driver-rim"), ("gpu", "measurements"),
    }  # fmt: skip


# -- damaged and hostile ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", 1),
        (b"\n[]", 2),
        (b'{"version": "1.0"}', None),
        (b'{"authorization-rules": {}}', None),
        (b'{\n"version": "5.0",\n"authorization-rules": {}}', 2),
        (b'{\n"version": 1.0,\n"authorization-rules": {}}', 2),
        (b'{\n"version": "1.0",\n"authorization-rules": []}', 3),
        (b'{"version": "1.0", "authorization-rules": {},\n"more": 1}', 2),
        (b'{"version": "4.0", "authorization-rules": {"type": "JWT"}}', None),
        (policy({}).replace(b'"JWT"', b'"CWT"'), 4),
        (policy({}).replace(b'"type"', b'"kind"'), 4),
        (policy({GPU_CLAIM: True, "a": 1}).replace(b'"a"', b'"' + GPU_CLAIM.encode() + b'"'), 8),
        (policy({GPU_CLAIM: "true"}), 7),
        (policy({GPU_CLAIM: 1}), 7),
        (policy({"x-nv-gpu-nonce-match": 1.0}), 7),
        (policy({"measres": True}), 7),
        (policy({"x-nvidia-gpu-driver-version": 535}), 7),
        (policy({"x-nvidia-gpu-driver-rim-cert-chain": True}), 7),
        (policy({"x-nvidia-gpu-driver-rim-cert-chain": {"x-nvidia-cert-status": 1}}), 8),
        (policy({}, {"x-nvidia-overall-att-result": "true"}), 6),
        (policy({GPU_CLAIM: True}).replace(b"true", b"NaN"), 7),
        (policy({GPU_CLAIM: True}).replace(b"true", b"[" * 40 + b"]" * 40), 7),
        (policy({"a": "b" * (300 << 10)}), 7),
        (policy({f"claim{number}": True for number in range(600)}), 7 + 500 - 3),
        (flat({"a": {f"claim{number}": True for number in range(600)}}), 5 + 500 - 1),
        (b"\n\xff", 2),
    ],
)
def test_a_damaged_policy_is_refused_with_its_line(data: bytes, line: int | None) -> None:
    with pytest.raises(Malformed) as refusal:
        read_nvidia(data)
    (problem,) = refusal.value.problems
    assert problem.code == "policy.import"
    assert problem.where == (None if line is None else f"line {line}")
    assert line is None or problem.message.startswith(f"line {line}: ")


NAMES = st.sampled_from(
    sorted(
        {
            *(name for kind in ("gpu", "switch") for form in FORMS for name in claims_of(kind, form)),
            "iss", "secboot", "dbgstat", "hwmodel", "eat_nonce", "x-nvidia-ver", "x-nvidia-overall-att-result",
            "x-nvidia-gpu-driver-version", "x-nvidia-gpu-vbios-version", "x-nv-gpu-nonce-match", "constructor",
        }
    )
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["success", "fail", "570.00", "\x1b[2J", "3.0"])
)
VALUES = (
    LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(NAMES | st.text(max_size=5), LEAVES, max_size=3)
)
CLAIMS = st.dictionaries(NAMES | st.text(max_size=12), VALUES, max_size=8)


@given(overall=CLAIMS, detached=CLAIMS, version=st.sampled_from(["1.0", "2.0", "3.0", "4.0"]))
@settings(max_examples=tenth(1_000), deadline=None)
def test_no_claim_is_dropped_in_silence(
    overall: dict[str, Any], detached: dict[str, Any], version: str
) -> None:
    data = flat(detached) if version == "1.0" else policy(detached, overall, version)
    try:
        draft = read_nvidia(data)
    except Malformed as error:
        assert all(problem.code == "policy.import" for problem in error.problems)
        return
    text = write(draft, name="a")
    Policy.from_text(text)
    assert "\x1b" not in text
    told = [*map(str, draft.unmapped), *(one.said for one in draft.entries), *draft.notes]
    lines = {int(line) for line in re.findall(r"line (\d+)\b", " ".join(told))}
    rules = read_located(data).members("")["authorization-rules"].members("")
    for place in (
        [rules] if version == "1.0" else [rules["overall-claims"].value, rules["detached-claims"].value]
    ):
        for value in place.values():
            members = value.value.values() if isinstance(value.value, dict) else [value]
            assert value.line in lines or {member.line for member in members} <= lines


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=tenth(2_000), deadline=None)
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_nvidia(data)


# -- as theirs would ----------------------------------------------------------------------------------------------


def payload(token: str) -> dict[str, Any]:
    segment = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return claims


def theirs(asked: bytes, overall: Mapping[str, Any], device: Mapping[str, Any]) -> bool:
    rules = json.loads(asked)["authorization-rules"]
    return meets(overall, rules["overall-claims"]) and meets(device, rules["detached-claims"])


@cache
def tokens(
    simulator: Simulator, form: Form, driver: str, vbios: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    answer = simulator.nras(version=form, nonce=NONCE, driver=driver, vbios=vbios).answer
    (_, overall), devices = json.loads(answer)
    return payload(overall), payload(devices["GPU-0"])


H100 = ("550.90.07", "96.00.9F.00.01")
SAID: dict[str, dict[str, Any]] = {
    "honest": {},
    "another driver": {},
    "another vbios": {},
    "measured otherwise": {
        "measres": "fail",
        "secboot": None,
        "dbgstat": None,
        "x-nvidia-gpu-measurements-match": False,
    },
    "no challenge": {"x-nvidia-gpu-attestation-report-nonce-match": False, "x-nvidia-gpu-nonce-match": False},
    "no manifests": {
        f"x-nvidia-gpu-{rim}-rim-{what}": False
        for rim in ("driver", "vbios")
        for what in ("fetched", "schema-fetched")
    },
    "signed by another": {"x-nvidia-gpu-attestation-report-signature-verified": False},
    "manifests on hold": {
        "x-nvidia-gpu-driver-rim-cert-validated": False,
        "x-nvidia-gpu-driver-rim-cert-chain": {
            "x-nvidia-cert-status": "valid",
            "x-nvidia-cert-ocsp-status": "revoked",
        },
    },
    "device unknown": {
        "x-nvidia-gpu-attestation-report-cert-chain-validated": False,
        "x-nvidia-gpu-attestation-report-cert-chain": {
            "x-nvidia-cert-status": "valid",
            "x-nvidia-cert-ocsp-status": "unknown",
        },
    },
}
"""State of an H100 → what its token says then, of the claims it has."""
FAULTS = {
    "signed by another": "gpu-signed-by-another",
    "manifests on hold": "gpu-ocsp-rim-hold",
    "device unknown": "gpu-ocsp-unknown",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("state", SAID)
def test_an_h100_is_judged_as_theirs_would(
    simulator: Simulator, anchors: Anchors, form: Form, state: str
) -> None:
    pinned = {"x-nvidia-gpu-driver-version": H100[0], "x-nvidia-gpu-vbios-version": H100[1]}
    asked = policy({**claims_of("gpu", form), **pinned}, {"x-nvidia-ver": VERSION[form]}, VERSIONS[form])
    imported = read_nvidia(asked)
    assert not imported.unmapped
    driver, vbios = {
        "another driver": ("550.127.05", H100[1]),
        "another vbios": (H100[0], "96.00.74.00.1A"),
    }.get(state, H100)
    overall, device = tokens(simulator, form, driver, vbios)
    device = {**device, **{name: value for name, value in SAID[state].items() if name in device}}
    measured = {9: b"\x01" * 48} if state == "measured otherwise" else None
    made = simulator.gpu(
        nonce=NONCE, driver=driver, vbios=vbios, measurements=measured, fault=FAULTS.get(state)
    )
    endorsements = made.endorsements
    if state == "no manifests":
        endorsements = type(endorsements)(
            certificates=endorsements.certificates, crls=endorsements.crls, ocsp=endorsements.ocsp
        )
    try:
        verified = verify(
            made.evidence,
            endorsements=endorsements,
            at=NOON,
            anchors=anchors,
            expected=None if state == "no challenge" else Expected(gpu_nonce=NONCE),
        )
        ours = appraise(verified, Policy.from_text(write(imported, name="a")), at=NOON).verdict != "refused"
    except Rejected:
        ours = False
    assert ours == theirs(asked, overall, device) == (state == "honest")


STATES: dict[str, list[dict[str, Any]]] = {
    "gpu": [
        {**GPU, "measurements": measured, "cert": cert, "driver-rim": rim, "vbios-rim": rim, "driver": driver}
        for measured, cert, rim, driver in product(
            ("match", "mismatch", "no-rim"),
            ("good", "hold", "unknown", "absent"),
            ("valid", "absent"),
            ("550.127.05", "570.86.15"),
        )
    ],
    "switch": [
        {**SWITCH, "measurements": measured, "cert": cert, "bios-rim": rim}
        for measured, cert, rim in product(
            ("match", "mismatch", "no-rim"), ("good", "hold", "unknown", "absent"), ("valid", "absent")
        )
    ],
}


def said_of(kind: str, form: Form, state: Mapping[str, Any], asked: bool) -> dict[str, Any]:
    """The token of a device in this state, as their claims are derived: each the outcome of its check."""
    good, match = bool(state["cert"] == "good"), bool(state["measurements"] == "match")

    def held(name: str) -> bool:
        return bool(state[_rim(name)] == "valid")

    def outcome(name: str) -> bool:
        if "-rim-cert-" in name:
            return good and held(name)
        if "-rim-" in name:
            return held(name)
        if "cert-chain-validated" in name:
            return good
        if "nonce" in name:
            return asked
        return match if name.endswith(("measurements-match", "no-conflict")) else True

    token: dict[str, Any] = {}
    for (name, *member), _ in required(kind, form):
        if not member:
            token[name] = outcome(name) if name != "measres" else ("success" if match else "fail")
        else:
            in_date = "-rim-" not in name or held(name)
            token[name] = {
                "x-nvidia-cert-status": "valid" if in_date else None,
                "x-nvidia-cert-ocsp-status": "good" if good else "unknown",
            }
    if kind == "gpu":
        token["x-nvidia-gpu-driver-version"] = state["driver"]
    return {**token, "secboot": True if match else None, "dbgstat": "disabled" if match else None}


def _rim(name: str) -> str:
    if "-switch-" in name:
        return "bios-rim"
    return "driver-rim" if "-driver-" in name else "vbios-rim"


@st.composite
def some_policy(draw: st.DrawFn) -> tuple[str, Form, dict[str, Any]]:
    """Some of the claims of one form, some of them with another value."""
    kind: str = draw(st.sampled_from(["gpu", "switch"]))
    form: Form = draw(st.sampled_from(FORMS))
    known: dict[str, Any] = {**claims_of(kind, form), "secboot": True, "dbgstat": "disabled"}
    if kind == "gpu":
        known["x-nvidia-gpu-driver-version"] = "550.127.05"
    chosen = draw(st.lists(st.sampled_from(sorted(known)), unique=True, max_size=6))
    wrong = draw(st.sets(st.sampled_from(chosen), max_size=1)) if chosen else set()
    detached: dict[str, Any] = {"x-nvidia-device-type": kind}
    for name in chosen:
        detached[name] = known[name] if name not in wrong or isinstance(known[name], dict) else None
    return kind, form, detached


def _passing(draft: Draft, kind: str) -> Iterator[tuple[Mapping[str, Any], bool]]:
    imported = Policy.from_text(write(draft, name="a"))
    for state, asked in product(STATES[kind], (True, False)):
        claims = tree(**{kind: [state]}, binding={"nonce": "true"} if asked else {})
        if appraise(verified_of(claims), imported, at=NOW).verdict != "refused":
            yield state, asked


@given(some=some_policy())
@settings(max_examples=tenth(150), deadline=None)
def test_an_import_with_nothing_listed_passes_no_device_that_theirs_refuses(
    some: tuple[str, Form, dict[str, Any]],
) -> None:
    kind, form, detached = some
    draft = read_nvidia(policy(detached))
    if draft.unmapped:
        return
    for state, asked in _passing(draft, kind):
        token = {"x-nvidia-device-type": kind, **said_of(kind, form, state, asked)}
        assert meets(token, detached), state
