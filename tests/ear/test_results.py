"""What has a result, and what a result says of the whole machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from attest.evidence import Evidence
from attest.policy import appraise
from attest.result import ear
from attest.result.ear.digest import digests_of
from attest.result.ear.vector import CATEGORIES, Vector
from attest.simulator import Simulator
from tests.conftest import Sample
from tests.ear.conftest import P256, TERMS, ResultOf, rejected
from tests.policy.conftest import GPU, NOW, SNP, policy_of, tree, verified_of

M = SNP["measurement"]
CLEAN = policy_of(f'{{snp: {{measurement: {{is: "{M}", covers: image}}}}}}')
KEY = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}


def test_the_status_is_the_verdict(result_of: ResultOf) -> None:
    assert result_of(tree(snp=SNP), CLEAN).status == "affirming"
    assert result_of(tree(snp=SNP), policy_of("{snp: {vmpl: 0}}")).status == "warning"
    assert result_of(tree(snp=SNP), policy_of("{snp: {smt: false}}")).status == "contraindicated"


def test_a_part_is_no_better_than_its_machine(result_of: ResultOf) -> None:
    """Whoever reads cpu0 alone is not to trust a machine whose second GPU is refused."""
    bad = {**GPU, "id": "00" * 20, "measurements": "mismatch"}
    result = result_of(tree(snp=SNP, gpu=[GPU, bad]), policy_of("{snp: {vmpl: 0}, gpu: {count: 2}}"))
    assert {name: part.status for name, part in result.parts.items()} == dict.fromkeys(
        ("cpu0", "gpu0", "gpu1"), "contraindicated"
    )
    worst = {name: part.vector.worst for name, part in result.parts.items()}
    assert worst == {"cpu0": "affirming", "gpu0": "affirming", "gpu1": "contraindicated"}


def test_the_status_is_no_better_than_the_worst_number(
    result_of: ResultOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the table will say one day."""
    numbers = Vector.of({"executables": 33})
    monkeypatch.setattr("attest.result.ear.result.weigh", lambda records, **how: numbers)
    result = result_of(tree(snp=SNP), CLEAN)
    assert (result.status, result.parts["cpu0"].status) == ("warning", "warning")


def test_what_else_was_asked_can_only_make_it_worse(result_of: ResultOf) -> None:
    assert result_of(tree(snp=SNP), CLEAN, verdict="conforms-with-warnings").status == "warning"
    assert result_of(tree(snp=SNP), CLEAN, verdict="refused").status == "contraindicated"
    refused = policy_of("{snp: {smt: false}}")
    assert result_of(tree(snp=SNP), refused, verdict="conforms").status == "contraindicated"


@pytest.mark.parametrize(
    ("more", "number"),
    [
        ({"simulated": True}, 32),
        ({"verdict": "conforms-with-warnings"}, 32),
        ({"verdict": "refused"}, 96),
        ({}, 2),
    ],
)
def test_numbers_alone_affirm_nothing_that_the_status_does_not(
    result_of: ResultOf, more: dict[str, Any], number: int
) -> None:
    """Some consumers make a status of their own of the vector, and some of one part's."""
    policy = policy_of(
        f'{{snp: {{measurement: {{is: "{M}", covers: image}}, ecc: true}}, gpu: {{count: 1}}}}'
    )
    result = result_of(tree(snp=SNP, gpu=[GPU]), policy, **more)
    assert result.parts["cpu0"].vector.values["configuration"] == number
    assert {part.vector.worst for part in result.parts.values()} == {result.status}
    assert result.parts["cpu0"].vector.values["executables"] == 3


def test_the_policy_is_named_with_its_digest(result_of: ResultOf) -> None:
    assert result_of(tree(snp=SNP), CLEAN).policies == (f"t@{CLEAN.digest}",)


def test_evidence_that_is_not_genuine_is_contraindicated_throughout(
    evidence_of: Callable[..., Evidence],
) -> None:
    evidence = evidence_of(tree(snp=SNP, gpu=[GPU]))
    result = ear.of_rejected(rejected(), evidence, at=NOW, simulated=False)
    assert result.status == "contraindicated"
    assert set(result.parts) == {"cpu0", "gpu0"}
    for part in result.parts.values():
        assert part.vector.values == dict.fromkeys(CATEGORIES, 99)
        assert part.status == "contraindicated"
    assert result.policies == ()


@pytest.mark.parametrize(("make", "number"), [(ear.of_malformed, 1), (ear.of_fault, -1)])
def test_where_nothing_was_judged_nothing_is_claimed(
    make: Callable[..., ear.AttestationResult], number: int
) -> None:
    result = make(at=NOW)
    assert (result.status, result.parts["cpu0"].status) == ("none", "none")
    assert result.parts["cpu0"].vector.values == dict.fromkeys(CATEGORIES, number)
    assert result.parts["cpu0"].evidence_digest is None


def test_a_result_cannot_be_made_by_hand_or_changed(result_of: ResultOf) -> None:
    with pytest.raises(TypeError):
        ear.AttestationResult(object(), status="affirming")
    result = result_of(tree(snp=SNP), policy_of("{snp: {smt: false}}"))
    with pytest.raises(AttributeError):
        result.status = "affirming"
    with pytest.raises(AttributeError):
        del result.status
    with pytest.raises(TypeError):
        result.parts["cpu0"] = result.parts["cpu0"]  # type: ignore[index]  # the point


def test_only_a_result_is_signed(result_of: ResultOf) -> None:
    appraisal: Any = appraise(verified_of(tree(snp=SNP)), CLEAN, at=NOW)
    with pytest.raises(TypeError):
        ear.issue(appraisal, TERMS, key=P256)


def test_the_evidence_must_be_what_was_appraised(evidence_of: Callable[..., Evidence]) -> None:
    appraisal = appraise(verified_of(tree(snp=SNP, gpu=[GPU])), None, at=NOW)
    with pytest.raises(ValueError, match="other parts"):
        ear.of_appraisal(appraisal, evidence_of(tree(snp=SNP)))


def test_the_digest_is_over_the_part_as_it_was_judged(genoa: Sample, td: Sample, h100: Sample) -> None:
    report = genoa.read("report.bin")
    assert digests_of(genoa.evidence) == {"cpu0": "sha384:" + hashlib.sha384(report).hexdigest()}
    quote: Any = td.evidence.cpu
    assert digests_of(td.evidence) == {"cpu0": "sha384:" + hashlib.sha384(quote.raw).hexdigest()}
    assert list(digests_of(h100.evidence)) == ["gpu0"]


def test_an_azure_machine_is_one_part_of_all_its_layers(simulator: Simulator) -> None:
    evidence = simulator.azure().evidence
    cpu: Any = evidence.cpu
    layers = cpu.hcl.raw + cpu.quote.message
    assert digests_of(evidence) == {"cpu0": "sha384:" + hashlib.sha384(layers).hexdigest()}


def test_the_key_is_named_where_the_evidence_carries_it_and_the_machine_conforms(
    result_of: ResultOf,
) -> None:
    assert result_of(tree(snp=SNP), CLEAN, key=KEY).key == KEY
    assert result_of(tree(snp=SNP), policy_of("{snp: {smt: false}}"), key=KEY).key is None
    assert result_of(tree(snp=SNP, binding={"nonce": "true"}), CLEAN, key=KEY).key is None
    assert result_of(tree(snp=SNP), CLEAN, key={**KEY, "d": "AA"}).key is None


# -- how long it counts -----------------------------------------------------------------------------


def seconds(result: ear.AttestationResult, lifetime: int = 300) -> int:
    terms = ear.Terms("x", lifetime=timedelta(seconds=lifetime))
    public = P256.public
    token = ear.issue(result, terms, key=P256)
    attested = ear.read(token, [public], issuer="x", audience=None, at=NOW)
    return int((attested.expires - NOW).total_seconds())


@pytest.mark.parametrize(
    ("expires", "lifetime", "wanted"), [(3600, 300, 300), (3600, 60, 60), (90, 300, 90), (1, 300, 1)]
)
def test_a_result_ends_with_what_it_rests_on(
    result_of: ResultOf, expires: int, lifetime: int, wanted: int
) -> None:
    result = result_of(tree(snp=SNP), CLEAN, expires=NOW + timedelta(seconds=expires))
    assert seconds(result, lifetime) == wanted


def test_a_result_ends_with_a_grace_that_it_needed(result_of: ResultOf) -> None:
    until = "2026-11-23T12:01:00Z"
    policy = policy_of(f"{{snp: {{smt: {{is: false, else: warn, until: {until}}}}}}}")
    assert seconds(result_of(tree(snp=SNP), policy)) == 61
    off = {**SNP, "smt": "false"}
    assert seconds(result_of(tree(snp=off), policy)) == 300


def test_a_refusal_counts_however_old_its_endorsements_are(result_of: ResultOf) -> None:
    result = result_of(tree(snp=SNP), CLEAN, at=NOW - timedelta(days=2), expires=NOW - timedelta(days=1))
    assert (result.status, seconds(result)) == ("contraindicated", 300)


def test_nothing_is_issued_at_the_very_end(result_of: ResultOf) -> None:
    with pytest.raises(ValueError, match="has ended"):
        seconds(result_of(tree(snp=SNP), CLEAN, expires=NOW))


@pytest.mark.parametrize("lifetime", [0, 301, 3600])
def test_a_result_lives_five_minutes_at_most(lifetime: int) -> None:
    with pytest.raises(ValueError):
        ear.Terms("x", lifetime=timedelta(seconds=lifetime))


@pytest.mark.parametrize(
    "terms",
    [{"issuer": ""}, {"issuer": "a\nb"}, {"issuer": "x", "audience": ""}, {"issuer": "x", "nonce": bytes(7)},
     {"issuer": "x", "nonce": bytes(65)}],
)  # fmt: skip
def test_terms_that_cannot_be(terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ear.Terms(**terms)


@pytest.mark.parametrize("make", [ear.of_malformed, ear.of_fault])
def test_a_time_has_a_zone(make: Callable[..., ear.AttestationResult]) -> None:
    with pytest.raises(ValueError):
        make(at=datetime(2026, 11, 23))


def test_an_accepted_advisory_warns_in_the_vector(result_of: ResultOf) -> None:
    accept = 'accept: [{advisory: AMD-SB-3019, until: 2026-12-31, because: "update on 12 Dec"}]\n'
    old = {**SNP, "tcb": {**SNP["tcb"], "snp": "23"}}
    for name in ("tcb-committed", "tcb-launch"):
        old[name] = old["tcb"]
    policy = policy_of("{snp: {fixed: [amd-sb-3019]}}", more=accept)
    result = result_of(tree(snp=old), policy)
    assert (result.status, result.parts["cpu0"].vector.values["hardware"]) == ("warning", 32)
    without = result_of(tree(snp=old), policy_of("{snp: {fixed: [amd-sb-3019]}}"))
    assert (without.status, without.parts["cpu0"].vector.values["hardware"]) == ("contraindicated", 96)
