"""From a CoRIM to a verdict: the command, its refusals, and what the policy it writes says of simulated machines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import attest
from attest.anchors import Anchors
from attest.cli.main import main
from attest.policy import Policy, appraise
from attest.simulator import Simulated, Simulator
from tests.ca import Authority
from tests.conftest import NOON
from tests.interchange.corim_maker import (
    AMD,
    INTEL,
    MEASURED,
    SEAM,
    corim,
    environment,
    extended,
    measured,
    pem,
    seconds,
    signed,
    triple,
)

KEY = ec.generate_private_key(ec.SECP384R1())
GOOD, BAD = b"\x5a" * 48, b"\xa5" * 48
DATES = {0: seconds(2026), 1: seconds(2028)}


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command on a file of these bytes, with the signer's key in `key.pem`: exit status, stdout, stderr."""
    (tmp_path / "key.pem").write_bytes(pem(KEY))

    def called(data: bytes, *options: str) -> tuple[int, str, str]:
        (tmp_path / "in.cbor").write_bytes(data)
        at = () if "--at" in options else ("--at", "2026-11-23")
        status = main(["policy", "import", "corim", str(tmp_path / "in.cbor"), *at, *options])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return called


def judged(machine: Simulated, anchors: Anchors, policy: Policy) -> set[str]:
    """Codes of the rules of the policy's own that refuse the machine; none where it conforms."""
    verified = attest.verify(machine.evidence, endorsements=machine.endorsements, at=NOON, anchors=anchors)
    appraisal = appraise(verified, policy, at=NOON)
    refused = {str(one["code"]) for one in appraisal.rules if one["outcome"] == "deny"}
    assert bool(refused) == (appraisal.verdict == "refused")
    return refused


def test_an_snp_machine_with_that_measurement_and_no_other(
    run: Any, tmp_path: Path, simulator: Simulator, anchors: Anchors
) -> None:
    data = signed(
        corim(
            triple(environment(), measured(641, digest=GOOD), measured(2, raw=bytes(8), mask=(1 << 19).to_bytes(8, "little"))),
            profile=AMD,
            validity=DATES,
        ),
        KEY,
    )  # fmt: skip
    output = tmp_path / "out.yaml"
    status, _, errors = run(data, "--signer", str(tmp_path / "key.pem"), "-o", str(output), "--name", "fw")
    assert (status, errors) == (0, "")
    policy = Policy.read(output)
    assert judged(simulator.snp(measurement=GOOD), anchors, policy) == set()
    assert judged(simulator.snp(measurement=BAD), anchors, policy) == {"policy.snp.measurement"}
    late = datetime(2028, 1, 2, tzinfo=UTC)
    (value,) = policy.body.references["measurement"].values
    assert value.ends is not None
    assert value.ends < late
    assert "signed by Vendor" in (value.origin or "")


def test_a_tdx_machine_with_those_registers_and_no_other(
    run: Any, tmp_path: Path, simulator: Simulator, anchors: Anchors
) -> None:
    td = {0: {1: "Vendor", 2: "guest"}}
    data = corim(
        triple(td, measured("mrtd", digest=GOOD), measured(None, registers={"rtmr1": [[7, GOOD]]})),
        profile=INTEL,
        validity=DATES,
    )
    output = tmp_path / "out.yaml"
    assert run(data, "--environment", "tdx", "-o", str(output))[0] == 0
    policy = Policy.read(output)
    good: dict[str, Any] = {"mrtd": GOOD, "rtmr1": GOOD}
    assert judged(simulator.tdx(**good), anchors, policy) == set()
    for register in good:
        refused = judged(simulator.tdx(**{**good, register: BAD}), anchors, policy)
        assert refused == {f"policy.tdx.{register}"}


def test_a_tdx_module_by_its_digest(run: Any, tmp_path: Path, simulator: Simulator, anchors: Anchors) -> None:
    machine = simulator.tdx()
    verified = attest.verify(machine.evidence, endorsements=machine.endorsements, at=NOON, anchors=anchors)
    mrseam = bytes.fromhex(str(verified.claims["tdx"]["mrseam"]))
    for value, refused in ((mrseam, set()), (BAD, {"policy.tdx.mrseam"})):
        output = tmp_path / f"{value[0]}.yaml"
        data = corim(triple(environment(SEAM), extended({-83: [7, value]})), profile=INTEL)
        assert run(data, "-o", str(output))[0] == 0
        assert judged(machine, anchors, Policy.read(output)) == refused


# -- the command


def test_what_is_not_mapped_keeps_the_policy_unwritten(run: Any, tmp_path: Path) -> None:
    data = corim(triple(environment(), measured(641, digest=GOOD), measured(640, raw=bytes(64))))
    output = tmp_path / "out.yaml"
    status, _, errors = run(data, "-o", str(output))
    assert status == 1
    assert not output.exists()
    place = "corim.tags[0].triples.reference-triples[0].ref-claims[1].mval"
    assert errors.splitlines() == [
        f"{place}: REPORT_DATA: not mapped: given to verify with --report-data",
        "nothing was written; --partial writes the rest",
    ]
    status, _, _ = run(data, "-o", str(output), "--partial")
    assert status == 1
    assert f"# NOT MAPPED, {place}" in output.read_text()


def test_json_has_paths(run: Any) -> None:
    data = corim(triple(environment(), measured(641, digest=GOOD), measured(640, raw=bytes(64))))
    status, printed, _ = run(data, "--json")
    assert status == 1
    found = json.loads(printed)
    assert found["policy"] is None
    assert found["format"] == "corim"
    assert found["unmapped"] == [
        {
            "path": "corim.tags[0].triples.reference-triples[0].ref-claims[1].mval",
            "what": "REPORT_DATA",
            "why": "given to verify with --report-data",
        }
    ]
    assert any("unsigned" in note for note in found["notes"])


def test_a_file_in_which_nothing_is_known(run: Any, tmp_path: Path) -> None:
    data = corim(triple({0: {1: "NVIDIA"}}, measured("fw", digest=MEASURED)))
    status, printed, errors = run(data, "--partial", "-o", str(tmp_path / "out.yaml"))
    assert (status, printed) == (1, "")
    assert errors.splitlines()[-1] == "nothing was written; nothing of it was mapped"
    assert not (tmp_path / "out.yaml").exists()


def test_rules_that_ask_for_nothing_are_no_policy(run: Any) -> None:
    data = corim(triple({0: {1: "V"}}, measured("servtd_hash", raw=bytes(48))))
    assert run(data, "--environment", "tdx")[0] == 1


def test_a_signed_file_says_what_to_do(run: Any) -> None:
    status, _, errors = run(signed(corim(triple(environment(), measured(641, digest=GOOD))), KEY))
    assert status == 2
    assert errors.startswith("corim.signer-missing: The CoRIM is signed and no signer was named")


def test_another_signer_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(pem(ec.generate_private_key(ec.SECP384R1())))
    data = signed(corim(triple(environment(), measured(641, digest=GOOD))), KEY)
    assert run(data, "--signer", str(tmp_path / "other.pem"))[0] == 2
    both = ("--signer", str(tmp_path / "other.pem"), "--signer", str(tmp_path / "key.pem"))
    assert run(data, *both)[0] == 0


def test_dates_are_those_of_the_instant_given(run: Any) -> None:
    data = corim(triple(environment(), measured(641, digest=GOOD)), validity=DATES)
    assert run(data)[0] == 0
    status, _, errors = run(data, "--at", "2028-01-02")
    assert status == 2
    assert "corim.dates" in errors
    assert "2026-01-01T00:00:00Z to 2028-01-01T00:00:00Z" in errors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--signer", "missing.pem"), "evidence.unreadable"),
        (("--signer", "in.cbor"), "not a public key or certificates"),
    ],
)
def test_signers_that_are_none(run: Any, tmp_path: Path, options: tuple[str, str], said: str) -> None:
    status, _, errors = run(
        corim(triple(environment(), measured(641, digest=GOOD))), options[0], str(tmp_path / options[1])
    )
    assert status == 2
    assert said in errors


@pytest.mark.parametrize("option", [("--signer", "x"), ("--environment", "snp"), ("--at", "2026-01-01")])
def test_other_formats_have_no_signers(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "p.json"
    file.write_text("{}")
    assert main(["policy", "import", "azure-skr", str(file), *option]) == 2
    assert f"{option[0]} belongs to corim" in capsys.readouterr().err


def test_a_missing_extra_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from attest.cli import policy_import_corim

    monkeypatch.setattr(policy_import_corim, "find_spec", lambda name: None)
    status, _, errors = run(corim(triple(environment(), measured(641, digest=GOOD))))
    assert status == 2
    assert "pip install attest[results]" in errors


def test_a_text_of_the_producers_stays_a_text(run: Any, tmp_path: Path) -> None:
    hostile = 'x"}, {value: "00'
    data = signed(
        corim(triple(environment(), measured(641, digest=GOOD, name=hostile + "\n#")), id="a: b # c\n- d"),
        KEY,
        meta={0: {0: hostile}},
    )
    output = tmp_path / "out.yaml"
    assert run(data, "--signer", str(tmp_path / "key.pem"), "-o", str(output))[0] == 0
    (value,) = Policy.read(output).body.references["measurement"].values
    assert value.value == GOOD
    assert value.name == hostile + "\\x0a#"
    assert hostile in (value.origin or "")


def test_a_certificate_as_the_signer(run: Any, tmp_path: Path) -> None:
    root = Authority("Root")
    leaf = Authority("Leaf", root, ca=False)
    (tmp_path / "root.der").write_bytes(root.certificate.der)
    data = signed(
        corim(triple(environment(), measured(641, digest=GOOD))),
        leaf.key,
        unprotected={33: leaf.certificate.der},
    )
    status, printed, _ = run(data, "--signer", str(tmp_path / "root.der"))
    assert status == 0
    assert "certificate Leaf, revocation not checked" in " ".join(printed.replace("#", "").split())


def test_a_large_corim_is_one_set(run: Any, tmp_path: Path) -> None:
    ones = [
        triple(environment(), measured(641, digest=number.to_bytes(48, "big"))) for number in range(1, 101)
    ]
    output = tmp_path / "out.yaml"
    assert run(corim(*ones, validity=DATES), "-o", str(output))[0] == 0
    assert len(Policy.read(output).body.references["measurement"].values) == 100


def test_a_corim_that_no_policy_holds_is_refused(run: Any) -> None:
    ones = [
        triple(environment(), measured(641, digest=number.to_bytes(48, "big"))) for number in range(1, 3001)
    ]
    status, _, errors = run(corim(*ones))
    assert status == 2
    assert "larger than 256 KiB" in errors
