"""What others wrote is translated or listed, never dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.errors import Malformed
from attest.policy import Policy
from attest.policy.interchange.azure_skr import read_azure_skr
from attest.policy.interchange.draft import write
from attest.policy.interchange.go_sev_guest import read_go_sev_guest
from attest.policy.interchange.textproto import read_textproto

TEE = "x-ms-isolation-tee."
LD = "ab" * 48


def skr(*conditions: object) -> bytes:
    kind = {"claim": TEE + "x-ms-attestation-type", "equals": "sevsnpvm"}
    authority = {"authority": "https://maa.example", "allOf": [kind, *conditions]}
    return json.dumps({"version": "1.0.0", "anyOf": [authority]}, indent=1).encode()


def pinned(*conditions: object) -> bytes:
    return skr({"claim": TEE + "x-ms-sevsnpvm-launchmeasurement", "equals": LD}, *conditions)


def test_azure_conditions_become_rules() -> None:
    draft = read_azure_skr(
        pinned(
            {"claim": TEE + "x-ms-sevsnpvm-is-debuggable", "equals": False},
            {"claim": TEE + "x-ms-sevsnpvm-guestsvn", "greater": 4},
            {"claim": TEE + "x-ms-sevsnpvm-snpfw-svn", "greaterOrEquals": 24},
        )
    )
    assert not draft.unmapped
    text = write(draft, name="a")
    Policy.from_text(text)
    rules = {(one.section, one.claim): one.operand for one in draft.entries}
    assert rules == {
        ("snp", "measurement"): f'"{LD}"',
        ("snp", "debug"): "false",
        ("snp", "guest-svn"): "{at-least: 5}",
        ("snp", "tcb"): "{at-least: {snp: 24}}",
        ("azure", "user-data-bound"): "true",
    }


def test_a_choice_keeps_only_branches_said_whole() -> None:
    choice = {
        "anyOf": [
            {"claim": TEE + "x-ms-sevsnpvm-guestsvn", "equals": 4},
            {
                "allOf": [
                    {"claim": TEE + "x-ms-sevsnpvm-guestsvn", "equals": 5},
                    {"claim": "x-ms-unheard-of", "equals": "x"},
                ]
            },
        ]
    }
    draft = read_azure_skr(pinned(choice))
    assert [one.what for one in draft.unmapped] == ["x-ms-unheard-of"]
    assert [[one.operand for one in branch] for branch in draft.choices[0].branches] == [["4"]]
    Policy.from_text(write(draft, name="a"))


def test_the_paravisor_that_azure_judged_is_asked_of_the_owner() -> None:
    draft = read_azure_skr(skr({"claim": TEE + "x-ms-compliance-status", "equals": "azure-compliant-cvm"}))
    assert [one.what for one in draft.unmapped] == [TEE + "x-ms-compliance-status"]
    assert draft.params == {"idk": "snp.id-key", "svn": "snp.guest-svn"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"version": "1.0.0"}',
        b'{"version": "2.0.0", "anyOf": [{"authority": "x", "allOf": [{"claim": "c", "equals": 1}]}]}',
        b'{"anyOf": [{"allOf": [{"claim": "c", "equals": 1}]}]}',
        b'{"anyOf": [{"authority": "x", "allOf": [{"claim": "c", "like": "1"}]}]}',
        b'{"anyOf": [{"authority": "x", "allOf": [{"claim": "c", "equals": 1, "less": 2}]}]}',
        b'{"anyOf": [{"authority": "x", "allOf": [{"claim": "c", "equals": NaN}]}]}',
        b'{"anyOf": [{"authority": "x", "anyof": [], "anyOf": []}]}',
        b'{"a": 1, "a": 2}',
        b"[" * 5000,
        b"\xff\xfe",
        b'{"anyOf": "' + b"x" * (300 << 10) + b'"}',
    ],
)
def test_damaged_release_policies_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_azure_skr(data)


SEV = b"""
minimum_guest_svn: 3 # of ours
policy: 0x30000
minimum_tcb: 0x1800000000000003
measurement: "%s"
vmpl { value: 0 }
require_id_block: true
trusted_id_key_hashes: "%s"
permit_provisional_firmware: true
""" % (b"\\xab" * 48, b"\\001" * 48)


def test_go_sev_guest_fields_become_rules() -> None:
    draft = read_go_sev_guest(SEV)
    assert not draft.unmapped
    rules = {one.claim: one.operand for one in draft.entries}
    assert rules == {
        "migrate-ma": "false",
        "debug": "false",
        "guest-svn": "{at-least: 3}",
        "tcb": "{at-least: {bootloader: 3, microcode: 24}}",
        "measurement": f'"{LD}"',
        "vmpl": "0",
        "id-key": f'"{"01" * 48}"',
    }
    Policy.from_text(write(draft, name="a"))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"minimum_build: 9", "minimum_build"),
        (b"report_id_ma: 'a'", "report_id_ma"),
        (b"minimum_tcb_turin: 1", "minimum_tcb_turin"),
        (b"trusted_author_keys: 'a'", "trusted_author_keys"),
    ],
)
def test_go_sev_guest_fields_without_a_counterpart_are_listed(line: bytes, what: str) -> None:
    draft = read_go_sev_guest(SEV + line + b"\n")
    assert [(one.line, one.what) for one in draft.unmapped][:1] == [(SEV.count(b"\n") + 1, what)]


@pytest.mark.parametrize(
    "data",
    [
        b"measurement: 'ab'",
        b"policy: 0x30000 policy: 0x30000",
        b"firmware: 3",
        b"policy: -1",
        b"policy: 0x30000000000000000",
        b"vmpl { value: 4 }",
        b"vmpl {" * 2000,
        b"measurement: '\\q'",
        b"minimum_tcb: 0x10000",
        b"policy",
        b"require_id_block: 2",
        b"\xff",
    ],
)
def test_damaged_check_policies_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_go_sev_guest(data)


def test_text_format_joins_texts_and_reads_lists() -> None:
    fields = read_textproto(b"a: 'x' \"\\x41\" b: [1, 0x10] c <d: true>")
    assert [(one.name, one.value) for one in fields[:3]] == [("a", b"xA"), ("b", 1), ("b", 16)]


def test_the_command_writes_nothing_that_lost_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "p.json"
    source.write_bytes(pinned({"claim": "x-other", "equals": "1"}))
    output = tmp_path / "out.yaml"
    assert main(["policy", "import", "azure-skr", str(source), "-o", str(output)]) == 1
    assert not output.exists()
    assert "x-other: not mapped" in capsys.readouterr().err
    assert main(["policy", "import", "azure-skr", str(source), "-o", str(output), "--partial"]) == 1
    assert "# NOT MAPPED, line" in output.read_text()
    source.write_bytes(pinned())
    assert main(["policy", "import", "azure-skr", str(source)]) == 0
    source.write_bytes(b"{")
    assert main(["policy", "import", "azure-skr", str(source), "--json"]) == 2


def test_host_data_of_zeros_asks_for_its_absence() -> None:
    draft = read_go_sev_guest(SEV + b"host_data: '" + b"\\000" * 32 + b"'")
    assert {one.claim: one.operand for one in draft.entries}["host-data"] == "{exists: false}"
