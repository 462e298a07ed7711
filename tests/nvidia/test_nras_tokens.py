"""An answer of NVIDIA's remote service counts only where every link of it holds (T-NRAS, T-JWTALG).

What each fault of the simulator breaks is refused in tests/simulator/test_faults.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from attest.errors import Malformed
from attest.nvidia.nras import ISSUER, AskedDevice, second_opinion
from attest.nvidia.nras_claims import required
from attest.nvidia.nras_keys import Jwks
from attest.nvidia.nras_token import NrasAnswer
from attest.nvidia.second_opinion.opinion import SecondOpinion
from attest.simulator import Simulator
from attest.simulator.nras import SimulatedNras
from tests.conftest import NOON, Vectors

VERSIONS = ["2-api", "2.0", "3.0"]
FIRST = "GPU-0"


def codes(opinion: SecondOpinion) -> set[str]:
    assert opinion.agrees == (not opinion.problems)
    return {problem.code for problem in opinion.problems}


def answer_of(plan: Any) -> SimulatedNras:
    made: SimulatedNras = plan.build()
    return made


def plan_of(simulator: Simulator, **keywords: Any) -> Any:
    from attest.simulator import nras

    return nras.plan(simulator._keys, NOON, NOON, **keywords)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("gpus", [1, 8])
def test_an_honest_answer_of_each_version_agrees(simulator: Simulator, version: str, gpus: int) -> None:
    opinion = simulator.nras(version=version, gpus=gpus).judged()
    assert (opinion.who, opinion.agrees, opinion.simulated) == (ISSUER, True, True)
    assert [device.name for device in opinion.devices] == [f"GPU-{index}" for index in range(gpus)]
    assert {record.outcome for record in opinion.checks} == {"passed"}
    assert len(opinion.checks) == 12


@pytest.mark.parametrize("version", VERSIONS)
def test_t_nras_each_claim_of_a_device_is_needed(simulator: Simulator, version: Any) -> None:
    for path, wanted in required("gpu", version):
        for value in ("absent", False, str(wanted).lower() + " "):
            plan = plan_of(simulator, version=version)
            claims = plan.devices[FIRST].claims
            for name in path[:-1]:
                claims = claims[name]
            if value == "absent":
                del claims[path[-1]]
            else:
                claims[path[-1]] = value
            found = codes(answer_of(plan).judged())
            assert "nras.device" in found, f"{path} {value}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("claim", "value", "agrees"),
    [
        ("dbgstat", "enabled", False),
        ("dbgstat", True, False),
        ("dbgstat", None, True),
        ("secboot", False, False),
        ("secboot", 1, False),
        ("secboot", None, True),
    ],
)
def test_t_nras_a_device_that_is_said_to_be_open_for_debugging_is_none(
    simulator: Simulator, version: str, claim: str, value: object, agrees: bool
) -> None:
    plan = plan_of(simulator, version=version)
    plan.devices[FIRST].claims[claim] = value
    assert codes(answer_of(plan).judged()) == (set() if agrees else {"nras.device"})


def test_a_simulators_answer_counts_only_where_it_was_named(simulator: Simulator) -> None:
    opinion = simulator.nras().judged(simulated=False)
    assert codes(opinion) == {"nras.simulated"}
    assert opinion.devices == ()
    assert {r.outcome for r in opinion.checks if r.name in ("nras.verdict", "nras.devices")} == {"not-run"}


def test_t_nras_nothing_is_read_of_a_token_that_nobody_signed(simulator: Simulator) -> None:
    opinion = simulator.nras(fault="nras-altered").judged()
    assert opinion.devices == ()
    outcomes = {record.name: record.outcome for record in opinion.checks}
    assert outcomes["nras.signature"] == "failed"
    assert outcomes["nras.verdict"] == outcomes["nras.nonce"] == "not-run"


@pytest.mark.parametrize(
    ("member", "seconds", "code"),
    [
        ("exp", -60, "nras.expired"),
        ("exp", -59, None),
        ("nbf", 60, None),
        ("nbf", 61, "nras.not-yet-valid"),
        ("iat", 60, None),
        ("iat", 61, "nras.not-yet-valid"),
    ],
)
def test_times_are_judged_to_the_second_at_the_time_given(
    simulator: Simulator, member: str, seconds: int, code: str | None
) -> None:
    plan = plan_of(simulator)
    plan.overall.claims[member] = int(NOON.timestamp()) + seconds
    assert codes(answer_of(plan).judged()) == ({code} if code else set())


def test_an_answer_of_years_ago_is_judged_at_its_own_time(simulator: Simulator) -> None:
    """No clock is asked: what was good then is good then, and expired now."""
    old = simulator.moved_to(NOON - timedelta(days=900)).nras()
    assert old.judged().agrees
    assert "nras.expired" in codes(old.judged(at=NOON))


def test_the_devices_that_were_sent_are_those_spoken_of(simulator: Simulator) -> None:
    made = simulator.nras(gpus=2)
    first, second = made.asked
    assert made.judged(devices=[second, first]).agrees, "the order is the service's own"
    assert codes(made.judged(devices=[first])) == {"nras.count", "nras.identity"}
    assert codes(made.judged(devices=[first, second, second])) == {"nras.count"}
    assert codes(made.judged(devices=[])) == {"nras.count", "nras.identity"}
    switch = AskedDevice("switch", first.serial, first.model)
    assert codes(made.judged(devices=[switch, second])) == {"nras.count", "nras.identity"}
    other = AskedDevice("gpu", first.serial, first.model, first.driver, "96.00.00.00.00")
    assert codes(made.judged(devices=[other, second])) == {"nras.identity"}


def test_one_answer_given_twice_is_not_two(simulator: Simulator) -> None:
    made = simulator.nras()
    answers, keys = [NrasAnswer.parse(made.answer)] * 2, Jwks.parse(made.jwks)
    opinion = second_opinion(
        answers, keys=keys, nonce=made.nonce, devices=made.asked, at=NOON, simulated=True
    )
    assert codes(opinion) == {"nras.count", "nras.identity"}


def test_no_answer_is_no_agreement(simulator: Simulator) -> None:
    made = simulator.nras()
    opinion = second_opinion([], keys=Jwks.parse(made.jwks), nonce=made.nonce, devices=made.asked, at=NOON)
    assert codes(opinion) == {"nras.count"}
    assert all(record.outcome != "passed" for record in opinion.checks)


def test_a_published_nonce_is_no_challenge(simulator: Simulator) -> None:
    nonce = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
    assert codes(simulator.nras(nonce=nonce).judged()) == {"nonce.public-constant"}


def test_wrong_use_is_the_callers_mistake(simulator: Simulator) -> None:
    made = simulator.nras()
    with pytest.raises(ValueError, match="time zone"):
        made.judged(at=NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="32 bytes"):
        made.judged(nonce=b"short")


# -- every bit ------------------------------------------------------------------------------------------------


def test_every_flipped_bit_of_a_token_refuses(simulator: Simulator) -> None:
    """One bit in each byte of both tokens; the text around them is JSON, which has several spellings."""
    made = simulator.nras()
    (_, overall), modules = json.loads(made.answer)
    for name, text in (("overall", overall), (FIRST, modules[FIRST])):
        for position in range(0, len(text), 7):
            flipped = text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]
            document = (
                [["JWT", flipped], modules] if name == "overall" else [["JWT", overall], {FIRST: flipped}]
            )
            changed = SimulatedNras(json.dumps(document).encode(), made.jwks, made.asked, made.nonce, made.at)
            try:
                assert not changed.judged().agrees, f"{name} at {position}"
            except Malformed as error:
                assert error.codes <= {"nras.malformed", "evidence.malformed"}


# -- the form ----------------------------------------------------------------------------------------------------


def test_the_wrappings_of_the_tools_are_opened(simulator: Simulator) -> None:
    made = simulator.nras()
    inner = json.loads(made.answer)
    for document in (
        {"detached_eat": inner, "result_code": 0},
        [["JWT", inner[0][1]], {"REMOTE_GPU_CLAIMS": inner}],
    ):
        wrapped = SimulatedNras(json.dumps(document).encode(), made.jwks, made.asked, made.nonce, made.at)
        assert wrapped.judged().agrees


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{}",
        "[]",
        '[["JWT", "a.b.c"]]',
        '[["JWT", "a.b.c"], {}]',
        '[["JWS", "e30.e30."], {"GPU-0": "e30.e30."}]',
        '[["JWT", "e30.e30"], {"GPU-0": "e30.e30."}]',
        '[["JWT", 1], {"GPU-0": "e30.e30."}]',
        '[["JWT", "e30.e30."], {"GPU-00": "e30.e30."}]',
        '[["JWT", "e30.e30."], {"../x": "e30.e30."}]',
        '[["JWT", "e30=.e30."], {"GPU-0": "e30.e30."}]',
        '[["JWT", "e31.e30."], {"GPU-0": "e30.e30."}]',
        '[["JWT", "W10.e30."], {"GPU-0": "e30.e30."}]',
        '[["JWT", "e30.e30."], {"GPU-0": "e30.e30.", "GPU-0": "e30.e30."}]',
        '[["JWT", "e30.e30.\\u00e9"], {"GPU-0": "e30.e30."}]',
        '{"detached_eat": [["JWT", "e30.e30."], {"REMOTE_GPU_CLAIMS": 1}]}',
    ],
)
def test_what_is_no_detached_eat_is_malformed(document: str) -> None:
    with pytest.raises(Malformed):
        NrasAnswer.parse(document.encode())


def test_more_devices_than_any_machine_has_are_malformed() -> None:
    names = {f"GPU-{index}": "e30.e30." for index in range(17)}
    with pytest.raises(Malformed) as error:
        NrasAnswer.parse(json.dumps([["JWT", "e30.e30."], names]).encode())
    assert error.value.codes == {"nras.malformed"}


# -- keys --------------------------------------------------------------------------------------------------------


def _with_key(made: SimulatedNras, **changes: Any) -> SimulatedNras:
    (member,) = json.loads(made.jwks)["keys"]
    for name, value in changes.items():
        member.pop(name) if value is None else member.update({name: value})
    return SimulatedNras(
        made.answer, json.dumps({"keys": [member]}).encode(), made.asked, made.nonce, made.at
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "RSA"},
        {"crv": "P-256"},
        {"alg": "ES256"},
        {"use": "enc"},
        {"x": "AA"},
        {"x": base64.urlsafe_b64encode(bytes(48)).decode()},
        {"x5c": []},
        {"x5c": ["AAAA"]},
        {"d": "AA"},
    ],
)
def test_a_key_of_another_kind_is_refused(simulator: Simulator, changes: dict[str, Any]) -> None:
    opinion = _with_key(simulator.nras(), **changes).judged()
    assert codes(opinion) == {"nras.keys"}


def test_a_key_without_certificate_alg_or_use_is_taken(simulator: Simulator) -> None:
    opinion = _with_key(simulator.nras(), x5c=None, alg=None, use=None).judged(simulated=False)
    assert opinion.agrees


@pytest.mark.parametrize(
    "document", ["[]", "{}", '{"keys": []}', '{"keys": [1]}', '{"keys": [{"kid":"a"},{"kid":"a"}]}']
)
def test_what_is_no_key_set_is_malformed(document: str) -> None:
    with pytest.raises(Malformed) as error:
        Jwks.parse(document.encode())
    assert error.value.codes == {"nras.keys"}


# -- real tokens ---------------------------------------------------------------------------------------------------


def real(vectors: Vectors, case: str) -> NrasAnswer:
    return NrasAnswer.parse(vectors.read(case, "claims_json"))


def hear(answer: NrasAnswer, simulator: Simulator) -> SecondOpinion:
    """Judged with keys that are not the service's: the signatures of these samples cannot be checked."""
    keys = Jwks.parse(simulator.nras().jwks)
    asked = [AskedDevice("gpu", 1, "GH100")]
    return second_opinion([answer], keys=keys, nonce=bytes(32), devices=asked, at=NOON)


def test_real_tokens_without_the_services_key_say_nothing(vectors: Vectors, simulator: Simulator) -> None:
    for case in ("eat-hopper-v3-sdk", "eat-switch-sdk"):
        opinion = hear(real(vectors, case), simulator)
        assert "nras.key.unknown" in codes(opinion)
        assert opinion.devices == ()


def test_a_local_verifiers_token_is_refused_by_name(vectors: Vectors, simulator: Simulator) -> None:
    answer = real(vectors, "eat-h100-alg-none-dstack")
    assert codes(hear(answer, simulator)) == {"nras.local-token"}


def test_real_tokens_are_laid_out_as_this_verifier_expects(vectors: Vectors) -> None:
    """Form, digests, claims and the device they name, all but the signature."""
    from hashlib import sha256

    from attest.loader import load
    from attest.nvidia.nras_claims import form_of, value_at

    case = vectors.cases["gpu-hopper-full-rims-nvtrust"]["files"]["cert_chain"]
    _, endorsements = load_chain(vectors, case, load)
    leaf = endorsements.certificates[0]
    for name, kind in (("eat-hopper-v3-sdk", "gpu"), ("eat-switch-sdk", "switch")):
        answer = real(vectors, name)
        ((module, token),) = answer.devices.items()
        assert answer.overall.claims["submods"][module][1][1] == sha256(token.raw).hexdigest()
        assert form_of(token.claims, kind) == "3.0"
        assert [
            path for path, wanted in required(kind, "3.0") if value_at(token.claims, path) != wanted
        ] == []
        if kind == "gpu":
            assert token.claims["ueid"] == str(leaf.serial), "ueid is the leaf's serial in decimal"


def load_chain(vectors: Vectors, chain: str, load: Any) -> Any:
    report = vectors.cases["gpu-hopper-full-rims-nvtrust"]["files"]["report"]
    return load(vectors.path(report), vectors.path(chain))
