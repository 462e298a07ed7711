"""go-sev-guest's checks: each field a rule, held without one, or listed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.policy import Policy, appraise
from attest.policy.interchange.draft import Draft, write
from attest.policy.interchange.go_sev_guest import read_go_sev_guest
from tests.counts import tenth
from tests.policy.conftest import NOW, SNP, tree, verified_of

LD = "ab" * 48
CXL, PROVISIONAL = "policy 0x30000, bit 21", "permit_provisional_firmware false"
SEV = b"""
minimum_guest_svn: 3 # of ours
policy: 0x230000
minimum_tcb: 0x1800000000000003
measurement: "%s"
vmpl { value: 0 }
require_id_block: true
trusted_id_key_hashes: "%s"
permit_provisional_firmware: true
""" % (b"\\xab" * 48, b"\\001" * 48)
LINE = SEV.count(b"\n") + 1
"""Of what is written behind it."""


def rules_of(draft: Draft) -> dict[str, str]:
    return {one.claim: one.operand for one in draft.entries}


def lost(draft: Draft) -> list[tuple[int | None, str]]:
    return [(one.line, one.what) for one in draft.unmapped]


def loaded(draft: Draft) -> Policy:
    return Policy.from_text(write(draft, name="a"))


def text(value: bytes) -> bytes:
    return b'"' + b"".join(b"\\x%02x" % byte for byte in value) + b'"'


def test_fields_become_rules() -> None:
    draft = read_go_sev_guest(SEV)
    assert not draft.unmapped
    assert rules_of(draft) == {
        "migrate-ma": "false",
        "debug": "false",
        "guest-svn": "{at-least: 3}",
        "tcb": "{at-least: {milan: {bootloader: 3, microcode: 24}, genoa: {bootloader: 3, microcode: 24}}}",
        "measurement": f'"{LD}"',
        "vmpl": "0",
        "id-key": f'"{"01" * 48}"',
    }
    loaded(draft)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b'minimum_version: "1.51"', ("firmware", "{at-least: 1.51}")),
        (b"minimum_launch_tcb: 0x100", ("tcb-launch", "{at-least: {milan: {tee: 1}, genoa: {tee: 1}}}")),
        (b"host_data: " + text(bytes(32)), ("host-data", "{exists: false}")),
        (b"family_id: " + text(bytes(16)), ("family-id", "{exists: false}")),
        (b"image_id: " + text(bytes(16)), ("image-id", "{exists: false}")),
        (b"chip_id: " + text(bytes(64)), ("chip-id", "{exists: false}")),
        (b"chip_id: " + text(b"\1" * 64), ("chip-id", f'"{"01" * 64}"')),
        (b"report_id: " + text(b"\2" * 32), ("report-id", f'"{"02" * 32}"')),
        (b"product { name: SEV_PRODUCT_MILAN }", ("product", "milan")),
        (b"product { name: 2 }", ("product", "genoa")),
        (b"platform_info { value: 0xa5 }", ("tsme", "false")),
        (b"platform_info { value: 0xa6 }", ("smt", "false")),
        (b"platform_info { value: 0xa4 }", ("ecc", "true")),
        (b"platform_info { value: 0x88 }", ("rapl-off", "true")),
        (b"platform_info { value: 0x90 }", ("ciphertext-hiding", "true")),
        (b"platform_info { value: 0xa0 }", ("alias-check", "true")),
    ],
)
def test_one_field_asks_its_rule(line: bytes, rule: tuple[str, str]) -> None:
    draft = read_go_sev_guest(SEV + line)
    assert not draft.unmapped
    assert rule in rules_of(draft).items()
    loaded(draft)


@pytest.mark.parametrize(
    "line",
    [b"minimum_guest_svn: 0", b'minimum_version: "0.0"', b'minimum_version: ""', b"minimum_build: 0", b"family_id: ''",
     b"product { name: SEV_PRODUCT_UNKNOWN }", b"product {}", b"trusted_author_keys: []", b"require_author_key: false"],
)  # fmt: skip
def test_what_asks_nothing_there_asks_nothing_here(line: bytes) -> None:
    data = SEV.replace(b"minimum_guest_svn: 3", b"")
    assert rules_of(read_go_sev_guest(data + line)) == rules_of(read_go_sev_guest(data))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"minimum_build: 9", "minimum_build"),
        (b"report_data: " + text(bytes(64)), "report_data"),
        (b"report_id_ma: " + text(b"\xff" * 32), "report_id_ma"),
        (b"trusted_author_keys: 'a'", "trusted_author_keys"),
        (b"product { machine_stepping { value: 1 } }", "product.machine_stepping"),
        (b"product { name: 9 }", "product.name"),
        (b"platform_info { value: 3 }", "platform_info 0x3, bit 7"),
    ],
)
def test_fields_without_a_counterpart_are_listed(line: bytes, what: str) -> None:
    assert lost(read_go_sev_guest(SEV + line)) == [(LINE, what)]


@pytest.mark.parametrize(
    ("bits", "what"),
    [
        (0x30000, [21]),
        (0x270000, [18]),
        (0x2B0000, [19]),
        (0x630000, [22]),
        (0xA30000, [23]),
        (0x1230000, [24]),
        (0x2230000, [25]),
    ],
)
def test_bits_of_the_guest_s_policy_without_a_counterpart_are_listed(bits: int, what: list[int]) -> None:
    draft = read_go_sev_guest(SEV.replace(b"0x230000", hex(bits).encode()))
    assert lost(draft) == [(3, f"policy {bits:#x}, bit {bit}") for bit in what]
    loaded(draft)


def test_the_guest_s_policy_as_rules() -> None:
    draft = read_go_sev_guest(SEV.replace(b"0x230000", b"0x320133"))
    rules = rules_of(draft)
    assert rules["smt-allowed"] == "false"
    assert rules["single-socket"] == "true"
    assert rules["abi"] == "{at-least: 1.51}"


def test_what_is_absent_has_no_line() -> None:
    draft = read_go_sev_guest(b"policy: 0x230000")
    assert lost(draft) == [(None, PROVISIONAL)]
    assert "not in the file: permit_provisional_firmware false" in str(draft.unmapped[0])
    assert "# NOT MAPPED, not in the file: permit_provisional_firmware" in write(draft, name="a")


@pytest.mark.parametrize("level", [1, 3])
def test_a_privilege_level_wider_than_the_default_is_listed(level: int) -> None:
    draft = read_go_sev_guest(SEV.replace(b"value: 0", b"value: %d" % level))
    assert lost(draft) == [(6, f"snp.vmpl: {level}")]
    assert "override" in draft.unmapped[0].why
    loaded(draft)


AUTHOR, ID = b"trusted_author_key_hashes: " + text(b"\2" * 48), b"trusted_id_key_hashes: " + text(b"\1" * 48)


@pytest.mark.parametrize(
    ("lines", "rules", "choices", "listed"),
    [
        ([AUTHOR, ID], set(), 0, []),
        ([b"require_id_block: true", ID], {"id-key"}, 0, []),
        ([b"require_id_block: true", AUTHOR], {"author-key"}, 0, []),
        ([b"require_id_block: true", ID, AUTHOR], set(), 1, []),
        ([b"require_author_key: true", ID, AUTHOR], {"author-key"}, 0, []),
        ([b"require_author_key: true", ID], set(), 0, ["require_author_key"]),
        ([b"require_id_block: true"], set(), 0, ["require_id_block"]),
    ],
)
def test_keys_count_where_one_is_required(
    lines: list[bytes], rules: set[str], choices: int, listed: list[str]
) -> None:
    draft = read_go_sev_guest(b"policy: 0x230000\npermit_provisional_firmware: true\n" + b"\n".join(lines))
    assert {"id-key", "author-key"} & set(rules_of(draft)) == rules
    assert len(draft.choices) == choices
    assert lost(draft) == [(3, what) for what in listed]
    loaded(draft)


CONFIG = b"""root_of_trust {
  product_line: "Milan"
  check_crl: true
  disallow_network: true
  cabundle_paths: "ask_ark.pem"
}
policy { policy: 0x230000 permit_provisional_firmware: true }
"""


def test_a_config_holds_a_policy_and_roots() -> None:
    draft = read_go_sev_guest(CONFIG)
    assert lost(draft) == [(5, "root_of_trust.cabundle_paths")]
    assert rules_of(draft) == {"product": "milan", "crl": "fresh", "migrate-ma": "false", "debug": "false"}
    loaded(draft)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"policy: 0x30000\nmeasurement: 'ab'", 2),
        (b"policy: 0x30000\npolicy: 0x30000", 2),
        (b"policy: 0x30000\nfirmware: 3", 2),
        (b"policy: 0x30000\nminimum_tcb_turin: 1", 2),
        (b"policy: 0x30000\nchip_id: '12345678'", 2),
        (b"policy: 0x30000\nreport_id_ma: 'a'", 2),
        (b"", None),
        (b"\npolicy: 0", 2),
        (b"\npolicy: 0x10000", 2),
        (b"\npolicy: 0x4030000", 2),
        (b"policy: -1", 1),
        (b"policy: 0x30000000000000000", 1),
        (b"policy: 0x30000\nvmpl { value: 4 }", 2),
        (b"policy: 0x30000\nvmpl { level: 1 }", 2),
        (b"policy: 0x30000\nplatform_info { value: 64 }", 2),
        (b"policy: 0x30000\nplatform_info { value: 256 }", 2),
        (b"policy: 0x30000\nminimum_build: 256", 2),
        (b"policy: 0x30000\nproduct { name: SEV_PRODUCT_ROME }", 2),
        (b"policy: 0x30000\nproduct { name: 'milan' }", 2),
        (b"policy: 0x30000\nproduct { family: 1 }", 2),
        (b"policy: 0x30000\nminimum_version: '1'", 2),
        (b"policy: 0x30000\nminimum_version: '1.256'", 2),
        (b"policy: 0x30000\nminimum_version: '1.x'", 2),
        (b"policy { policy: 0x30000 }\nfirmware: 1", 2),
        (b"root_of_trust {\nproducts: 'x' }", 2),
        (b"vmpl {" * 2000, 1),
        (b"policy: 0x30000\nmeasurement: '\\q'", 2),
        (b"policy: 0x30000\nminimum_tcb: 0x10000", 2),
        (b"policy", 1),
        (b"policy: 0x30000\nrequire_id_block: 2", 2),
        (b"policy: 0x30000\ntrusted_id_keys: ['a',]", 2),
        (b"\n\xff", 2),
        (b'{"policy": {}}', 1),
    ],
)
def test_damaged_check_policies_are_refused_with_their_line(data: bytes, line: int | None) -> None:
    with pytest.raises(Malformed) as refusal:
        read_go_sev_guest(data)
    (problem,) = refusal.value.problems
    assert (problem.code, problem.where) == ("policy.import", None if line is None else f"line {line}")


def test_what_becomes_larger_than_a_policy_is_refused() -> None:
    key = b"trusted_id_key_hashes: " + text(b"\1" * 48)
    draft = read_go_sev_guest(b"policy: 0x230000 require_id_block: true " + key * 900)
    assert rules_of(draft)["id-key"] == f'"{"01" * 48}"'
    draft.notes += ["x" * 200] * 2_000
    with pytest.raises(Malformed, match="larger than 256 KiB"):
        write(draft, name="a")


# -- never looser -------------------------------------------------------------------------------------------------

FIELDS: dict[str, list[str]] = {
    "policy": ["0x230000", "0x220000", "0x320000", "0x230133", "0x23013f"],
    "minimum_guest_svn": ["2", "3"],
    "family_id": [text(bytes(16)).decode(), text(b"\1" * 16).decode()],
    "host_data": [text(bytes(32)).decode(), text(b"\1" * 32).decode()],
    "vmpl": ["{value: 0}", "{value: 1}"],
    "minimum_tcb": [hex(24 << 48), hex(25 << 48), hex(4 | 200 << 56)],
    "minimum_launch_tcb": [hex(24 << 48), hex(25 << 48)],
    "platform_info": ["{value: 0x85}", "{value: 0xa4}", "{value: 0x87}"],
    "measurement": [text(bytes.fromhex(LD)).decode(), text(b"\1" * 48).decode()],
    "minimum_version": ['"1.55"', '"1.56"'],
    "require_author_key": ["true", "false"],
    "require_id_block": ["true", "false"],
    "trusted_author_key_hashes": [text(b"\2" * 48).decode()],
    "trusted_id_key_hashes": [text(b"\1" * 48).decode()],
}
POLICIES = st.fixed_dictionaries(
    {"policy": st.sampled_from(FIELDS["policy"])},
    optional={name: st.sampled_from(values) for name, values in FIELDS.items() if name != "policy"},
)


def guests() -> list[dict[str, Any]]:
    found = []
    for svn, (smt, socket, abi), (level, launch), (ident, author), measurement in product(
        ("2", "3"),
        (("true", "false", "1.51"), ("false", "true", "1.55")),
        (("24", "24"), ("25", "24"), ("24", "25")),
        ((None, None), ("01" * 48, None), ("01" * 48, "02" * 48), ("03" * 48, "02" * 48), ("03" * 48, None)),
        (LD, "01" * 48),
    ):
        report = {
            **SNP,
            "guest-svn": svn,
            "smt-allowed": smt,
            "single-socket": socket,
            "abi": abi,
            "tcb": {**SNP["tcb"], "snp": level},
            "tcb-launch": {**SNP["tcb"], "snp": launch},
            "measurement": measurement,
        }
        report |= {name: value for name, value in (("id-key", ident), ("author-key", author)) if value}
        if svn == "2":
            report |= {"host-data": "01" * 32, "family-id": "01" * 16, "firmware": "1.56.1", "smt": "false"}
        found.append(report)
    return found


GUESTS = guests()


def octets(written: str) -> str:
    return written.strip('"').replace("\\x", "")


def theirs(asked: Mapping[str, str], report: Mapping[str, Any]) -> bool:
    """Its validation of a report, field by field; the reports have no bits above 20 in POLICY, none above 5 in
    PLATFORM_INFO, and committed firmware that is the current one."""
    bits = int(asked["policy"], 16)
    abi = tuple(int(part) for part in report["abi"].split("."))
    version = tuple(int(part) for part in report["firmware"].split("."))[:2]
    platform = int(asked["platform_info"][8:-1], 16) if "platform_info" in asked else None

    def least(name: str, tcb: Mapping[str, str]) -> bool:
        wanted = int(asked.get(name, "0"), 16)
        parts = {"bootloader": 0, "tee": 8, "snp": 48, "microcode": 56}
        return all(int(tcb[part]) >= wanted >> at & 255 for part, at in parts.items())

    def same(name: str, claim: str, size: int) -> bool:
        return name not in asked or octets(asked[name]) == report.get(claim, "00" * size)

    author = asked.get("require_author_key") == "true"
    known = report.get("author-key", "") in [octets(asked.get("trusted_author_key_hashes", "-"))]
    by_id = report.get("id-key", "00" * 48) == octets(asked.get("trusted_id_key_hashes", "-"))
    keys = known if author else known or by_id if asked.get("require_id_block") == "true" else True
    return (
        keys
        and (bits >> 8 & 255, bits & 255) <= abi
        and (bool(bits >> 16 & 1) or report["smt-allowed"] == "false")
        and (not bits >> 20 & 1 or report["single-socket"] == "true")
        and int(report["guest-svn"]) >= int(asked.get("minimum_guest_svn", "0"))
        and asked.get("vmpl", "{value: 0}") == "{value: 0}"
        and least("minimum_tcb", report["tcb"])
        and least("minimum_launch_tcb", report["tcb-launch"])
        and same("family_id", "family-id", 16)
        and same("host_data", "host-data", 32)
        and same("measurement", "measurement", 48)
        and tuple(int(part) for part in asked.get("minimum_version", '"0.0"').strip('"').split("."))
        <= version
        and all(
            report[claim] == "false" or platform is None or platform >> bit & 1
            for bit, claim in ((0, "smt"), (1, "tsme"))
        )
        and all(
            report[claim] == "true" or platform is None or not platform >> bit & 1
            for bit, claim in ((2, "ecc"), (5, "alias-check"))
        )
    )


@given(asked=POLICIES)
@settings(max_examples=tenth(500), deadline=None)
def test_an_import_with_nothing_listed_passes_no_guest_that_theirs_refuses(asked: dict[str, str]) -> None:
    data = "\n".join(f"{name}: {value}" for name, value in asked.items())
    draft = read_go_sev_guest((data + "\npermit_provisional_firmware: true").encode())
    policy = loaded(draft)
    passed = [
        one for one in GUESTS if appraise(verified_of(tree(snp=one)), policy, at=NOW).verdict != "refused"
    ]
    if not draft.unmapped:
        assert all(theirs(asked, one) for one in passed)
        # Nor stricter, where no default of ours asks for more.
        assert [one for one in GUESTS if theirs(asked, one)] == passed


@given(
    data=st.binary(max_size=200) | st.text(alphabet="policy:_{}<>[]'\"x01 \n#;,", max_size=80).map(str.encode)
)
@settings(max_examples=tenth(2_000), deadline=None)
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_go_sev_guest(data)
