"""Which number each outcome of a rule is, and which tier a number is of."""

from __future__ import annotations

from typing import Any

import pytest

from attest.claims import CLAIMS
from attest.result.ear.rules import Named, records_of
from attest.result.ear.table import CATEGORIES_OF, VALUES
from attest.result.ear.vector import CATEGORIES, TIERS, Category, Vector, tier_of, worse
from attest.result.ear.weigh import weigh
from tests.ear.conftest import ResultOf
from tests.policy.conftest import GPU, SNP, TDX, policy_of, tree

M = SNP["measurement"]


@pytest.mark.parametrize(
    ("values", "tier"),
    [
        ((-1, 0, 1), "none"),
        ((2, 31, -2, -32), "affirming"),
        ((32, 95, -33, -96), "warning"),
        ((96, 99, 127, -97, -128), "contraindicated"),
    ],
)
def test_the_tier_of_a_number_is_that_of_ar4si(values: tuple[int, ...], tier: str) -> None:
    assert [tier_of(value) for value in values] == [tier] * len(values)


@pytest.mark.parametrize("value", [128, -129])
def test_a_number_beyond_eight_bits_is_none(value: int) -> None:
    with pytest.raises(ValueError):
        tier_of(value)


def test_a_vector_has_eight_categories_and_its_worst_tier() -> None:
    assert Vector.of({}).worst == "none"
    assert Vector.of({"hardware": 2, "executables": 33}).worst == "warning"
    assert Vector.of({"hardware": 96, "executables": 2}).worst == "contraindicated"
    with pytest.raises(ValueError):
        Vector({"hardware": 2})
    assert [worse("affirming", tier) for tier in TIERS] == [
        "affirming",
        "affirming",
        "warning",
        "contraindicated",
    ]


def test_every_claim_of_the_table_exists() -> None:
    known = {f"{section}.{name}" for section, claims in CLAIMS.items() for name in claims}
    more = {"platforms", *(f"{section}.fixed" for section in ("snp", "tdx", "gpu", "switch"))}
    assert set(CATEGORIES_OF) <= known | more


def record(rule: str, result: str = "P", outcome: str = "pass", at: str = "p.yaml:1:1") -> Named:
    return Named.of({"rule": rule, "at": at, "result": result, "outcome": outcome, "until": None})


PASS, GRACE, FAIL, UNKNOWN = ("P", "pass"), ("F", "grace"), ("F", "deny"), ("U", "deny")


@pytest.mark.parametrize(
    ("rule", "category", "numbers"),
    [
        ("snp.tcb", "hardware", (2, 32, 96, 97)),
        ("snp.fixed", "hardware", (2, 32, 96, 97)),
        ("tdx.tcb-status", "hardware", (2, 32, 96, 97)),
        ("tdx.mrseam", "hardware", (2, 32, 96, 97)),
        ("gpu[0].vbios", "hardware", (2, 32, 96, 97)),
        ("gpu[0].cert", "hardware", (2, 32, 96, 97)),
        ("snp.product", "hardware", (2, 32, 97, 97)),
        ("gpu[0].model", "hardware", (2, 32, 97, 97)),
        ("platforms", "hardware", (2, 32, 97, 97)),
        ("snp.smt", "configuration", (2, 32, 96, 36)),
        ("binding.key", "configuration", (2, 32, 96, 36)),
        ("snp.any", "configuration", (2, 32, 96, 36)),
        ("snp.measurement", "executables", (3, 32, 96, 33)),
        ("tdx.rtmr2", "executables", (3, 32, 96, 33)),
        ("azure.pcr11", "executables", (3, 32, 96, 33)),
        ("boot.kernel", "executables", (3, 32, 96, 33)),
        ("gpu[0].driver", "executables", (3, 32, 96, 33)),
        ("switch[0].bios-rim", "executables", (3, 32, 96, 33)),
        ("snp.chip-id", "instance-identity", (2, 32, 97, 97)),
        ("gpu[0].id", "instance-identity", (2, 32, 97, 97)),
        ("snp.debug", "runtime-opaque", (2, 32, 96, 96)),
        ("gpu[0].measurements", "executables", (3, 32, 96, 33)),
        ("gpu[0].measurements", "runtime-opaque", (2, 32, 96, 96)),
    ],
)
def test_the_four_numbers_of_a_rule(rule: str, category: Category, numbers: tuple[int, ...]) -> None:
    found = [weigh([record(rule, *how)]).values[category] for how in (PASS, GRACE, FAIL, UNKNOWN)]
    assert found == list(numbers)


@pytest.mark.parametrize("outcome", ["accepted", "observed"])
def test_what_was_accepted_or_observed_warns(outcome: str) -> None:
    assert weigh([record("snp.measurement", "P", outcome)]).values["executables"] == 32


def test_an_outcome_nobody_knows_affirms_nothing() -> None:
    assert weigh([record("snp.tcb", "P", "later")]).values["hardware"] == 96


@pytest.mark.parametrize(
    ("rule", "result", "category", "number"),
    [
        ("snp.measurement", "F not listed", "executables", 33),
        ("snp.measurement", "F revoked", "executables", 96),
        ("snp.measurement", "F expired", "executables", 96),
        ("snp.chip-id", "F not listed", "instance-identity", 97),
        ("snp.chip-id", "F revoked", "instance-identity", 96),
    ],
)
def test_a_reference_value_that_failed(rule: str, result: str, category: Category, number: int) -> None:
    assert weigh([record(rule, result, "deny")]).values[category] == number


def test_configuration_that_only_defaults_spoke_of() -> None:
    defaults = [record("snp.vmpl", at="default"), record("snp.crl", at="default")]
    assert weigh(defaults).values["configuration"] == 3
    assert weigh([*defaults, record("snp.smt")]).values["configuration"] == 2


def test_what_ran_after_the_boot_is_vouched_for_by_both_rules_together() -> None:
    both = [record("tdx.event-log"), record("tdx.rtmr3")]
    assert weigh(both).values["executables"] == 2
    for one in both:
        assert weigh([one]).values["executables"] == 3
    assert weigh([both[0], record("tdx.rtmr3", "F", "deny")]).values["executables"] == 96


def test_the_worst_of_a_category_counts_and_no_other_category_changes() -> None:
    vector = weigh([record("snp.tcb"), record("snp.firmware", *UNKNOWN), record("snp.fixed", *GRACE)])
    assert vector.values["hardware"] == 97
    assert {name: value for name, value in vector.values.items() if value} == {"hardware": 97}
    assert weigh([]).values == dict.fromkeys(CATEGORIES, 0)


def test_no_number_of_the_table_is_of_a_better_tier_than_its_column() -> None:
    for values in VALUES.values():
        assert {tier_of(values.passed), tier_of(values.by_default)} == {"affirming"}
        for number in (values.warned, values.failed, values.unknown, *values.named.values()):
            assert tier_of(number) in ("warning", "contraindicated")


# -- which part a rule speaks of --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "parts"),
    [
        ("snp.debug", {"cpu0"}),
        ("time.evidence-age", {"cpu0"}),
        ("binding.nonce", {"cpu0"}),
        ("platforms", {"cpu0"}),
        ("gpu[1].vbios", {"gpu1"}),
        ("gpu.count", {"gpu0", "gpu1"}),
        ("gpu.present", {"gpu0", "gpu1"}),
        ("switch.present", {"cpu0"}),
        ("binding.gpu-to-cpu", {"cpu0", "gpu0", "gpu1"}),
        ("binding.protocol", {"cpu0", "gpu0", "gpu1"}),
    ],
)
def test_the_parts_that_a_rule_speaks_of(rule: str, parts: set[str]) -> None:
    names = ("cpu0", "gpu0", "gpu1")
    assert {name for name in names if records_of(name, names, [record(rule)])} == parts


@pytest.mark.parametrize("rule", ["platforms", "binding.nonce", "switch.present", "evidence.verified-by"])
def test_without_a_cpu_what_is_said_of_the_machine_is_said_of_each_device(rule: str) -> None:
    names = ("gpu0", "gpu1")
    assert all(records_of(name, names, [record(rule)]) for name in names)


# -- on judged machines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "require", "part", "category", "number"),
    [
        ({"snp": SNP}, f'{{snp: {{measurement: "{M}"}}}}', "cpu0", "executables", 3),
        ({"snp": SNP}, '{snp: {tcb: {at-least: {snp: 25}}}}', "cpu0", "hardware", 96),
        ({"snp": SNP}, "{snp: {product: genoa}}", "cpu0", "hardware", 97),
        ({"snp": SNP}, "{snp: {mitigations-launch: {has-bits: 1}}}", "cpu0", "configuration", 36),
        ({"snp": SNP}, "{snp: {smt: {is: false, else: warn, until: 2027-01-31}}}", "cpu0", "configuration", 32),
        ({"snp": {**SNP, "debug": "true"}}, "{snp: {vmpl: 0}}", "cpu0", "runtime-opaque", 96),
        ({"snp": SNP, "gpu": [GPU]}, "{snp: {vmpl: 0}, gpu: {vbios: {at-least: 96.00.AF}}}", "gpu0", "hardware", 96),
        ({"snp": SNP, "gpu": [{**GPU, "measurements": "mismatch"}]}, "{snp: {vmpl: 0}}", "gpu0", "runtime-opaque", 96),
    ],
)  # fmt: skip
def test_a_judged_machine(
    result_of: ResultOf, claims: dict[str, Any], require: str, part: str, category: Category, number: int
) -> None:
    assert result_of(tree(**claims), policy_of(require)).parts[part].vector.values[category] == number


def test_a_value_no_set_lists_is_not_recognised(result_of: ResultOf) -> None:
    more = f'references: {{web: {{type: snp.measurement, values: [{{value: "{"00" * 48}"}}]}}}}\n'
    result = result_of(tree(snp=SNP), policy_of("{snp: {measurement: {in: web}}}", more=more))
    assert result.parts["cpu0"].vector.values["executables"] == 33
    assert result.status == "contraindicated"


def test_a_td_by_defaults_alone(result_of: ResultOf) -> None:
    values = result_of(tree(tdx=TDX)).parts["cpu0"].vector.values
    claimed = {"hardware": 2, "configuration": 3, "runtime-opaque": 2}
    assert {name: value for name, value in values.items() if value} == claimed


@pytest.mark.parametrize(
    ("claims", "require"),
    [
        ({"snp": SNP}, "{snp: {measurement: {exists: true}}}"),
        ({"snp": SNP}, f'{{snp: {{measurement: {{none-of: ["{"00" * 48}"]}}}}}}'),
        ({"tdx": {**TDX, "event-log": "replayed"}}, "{tdx: {event-log: replayed}}"),
        ({"tdx": {**TDX, "rtmr3": "dd" * 48}}, f'{{tdx: {{rtmr3: "{"dd" * 48}"}}}}'),
        ({"tdx": TDX}, f'{{tdx: {{mrtd: "{"aa" * 48}"}}}}'),
    ],
)
def test_executables_that_no_rule_identifies_are_not_affirmed(
    result_of: ResultOf, claims: dict[str, Any], require: str
) -> None:
    result = result_of(tree(**claims), policy_of(require, platforms=next(iter(claims))))
    assert result.status == "warning"
    assert result.parts["cpu0"].vector.values["executables"] == 0


def test_a_td_whose_log_and_runtime_register_are_wanted(result_of: ResultOf) -> None:
    pins = "".join(f'{name}: "{TDX[name]}", ' for name in ("mrtd", "rtmr1", "rtmr2"))
    td = {**TDX, "event-log": "replayed", "rtmr3": "dd" * 48}
    for more, number in (("", 3), (f'event-log: replayed, rtmr3: "{"dd" * 48}"', 2)):
        result = result_of(tree(tdx=td), policy_of(f"{{tdx: {{{pins}{more}}}}}", platforms="tdx"))
        assert result.parts["cpu0"].vector.values["executables"] == number


def test_a_device_is_identified_by_its_manifests(result_of: ResultOf) -> None:
    result = result_of(tree(snp=SNP, gpu=[GPU]), policy_of("{snp: {vmpl: 0}, gpu: {count: 1}}"))
    assert result.parts["gpu0"].vector.values["executables"] == 3
