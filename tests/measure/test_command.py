"""`attest measure`: what it prints goes into a policy, and a machine so launched conforms."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attest import Policy, appraise, verify
from attest.anchors import Anchors
from attest.cli.main import main
from attest.measure import LinuxBoot, SnpLaunch, TdxLaunch, launch_digest, registers
from attest.simulator import Simulator
from tests.conftest import NOON, Vectors
from tests.measure.firmware import firmware, kernel

MILAN = 0x00A00F11
GIB = 1 << 30
REFERENCE = ("--reference", "web", "--from", "2026-11-23")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP384R1())
    contents = {
        "ovmf": firmware(),
        "kernel": kernel(),
        "initrd": b"an initrd",
        "loader": b"loader",
        "rsdp": b"rsdp",
        "tables": b"tables",
        "key.pem": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "public.pem": key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "text": b"no key and no firmware",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return {name: str(tmp_path / name) for name in contents}


def snp(files: dict[str, str], *more: str) -> list[str]:
    return ["measure", "snp", "--ovmf", files["ovmf"], "--vcpus", "4", "--vcpu-type", "EPYC-Milan", *more]


def tdx(files: dict[str, str], *more: str) -> list[str]:
    return ["measure", "tdx", "--firmware", files["ovmf"], *more]


def boot(files: dict[str, str]) -> list[str]:
    return ["--kernel", files["kernel"], "--initrd", files["initrd"], "--append", "console=hvc0"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    out = capsys.readouterr()
    assert out.err == ""
    return out.out


def policy_of(section: str, references: str) -> Policy:
    """A policy that holds what was printed, and the rules that its last comment proposes."""
    rules = references.strip().splitlines()[-1].removeprefix("#").strip()
    head = f"policy: 1\nname: t\nplatforms: [{section}]\n"
    return Policy.from_text(f"{head}{references}require:\n  {rules}\n", "p.yaml")


# -- SNP ----------------------------------------------------------------------------------------------


def test_a_machine_launched_as_measured_conforms_and_another_does_not(
    files: dict[str, str], simulator: Simulator, anchors: Anchors, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, *snp(files, *boot(files), *REFERENCE, "--release", 'web "1.4.2"'))
    policy = policy_of("snp", text)
    expected = LinuxBoot(kernel(), b"an initrd", "console=hvc0")
    for append, conforms in (("console=hvc0", True), ("console=hvc0 init=/bin/sh", False)):
        launched = SnpLaunch(firmware(), 4, MILAN, boot=LinuxBoot(expected.kernel, expected.initrd, append))
        machine = simulator.snp(measurement=launch_digest(launched))
        verified = verify(machine.evidence, endorsements=machine.endorsements, at=NOON, anchors=anchors)
        appraisal = appraise(verified, policy, at=NOON)
        assert appraisal.conforms is conforms
        codes = {problem.code for problem in appraisal.problems}
        assert codes == (set() if conforms else {"policy.snp.measurement"})
        assert ("os-unmeasured" in {warning.code for warning in appraisal.warnings}) is not conforms


def test_firmware_alone_does_not_pass_for_an_image(
    files: dict[str, str], simulator: Simulator, anchors: Anchors, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = policy_of("snp", printed(capsys, *snp(files, *REFERENCE)))
    machine = simulator.snp(measurement=launch_digest(SnpLaunch(firmware(), 4, MILAN)))
    verified = verify(machine.evidence, endorsements=machine.endorsements, at=NOON, anchors=anchors)
    appraisal = appraise(verified, policy, at=NOON)
    assert appraisal.conforms
    assert "os-unmeasured" in {warning.code for warning in appraisal.warnings}


def test_a_value_for_each_number_of_vcpus(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*snp(files), "--json"]
    arguments[arguments.index("4")] = "1,4"
    answer = json.loads(printed(capsys, *arguments))
    assert [value["variant"] for value in answer["values"]] == ["1 vCPU", "4 vCPUs"]
    assert [value["value"] for value in answer["values"]] == [
        launch_digest(SnpLaunch(firmware(), count, MILAN)).hex() for count in (1, 4)
    ]


def test_the_origin_names_tool_and_inputs(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    origin = json.loads(printed(capsys, *snp(files, *boot(files), "--json")))["origin"]
    for part in (
        "sev-snp-measure 0.0.13",
        "ovmf sha256:",
        "kernel sha256:",
        "'console=hvc0'",
        "EPYC-Milan",
        "0x1",
    ):
        assert part in origin


def test_text_says_what_is_covered_and_what_not(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    bare = printed(capsys, *snp(files))
    assert "covers firmware" in bare
    assert "is not measured" in bare
    assert "HOST_DATA" in bare
    assert "covers image" in printed(capsys, *snp(files, *boot(files)))


def test_an_id_block_and_its_digests(
    files: dict[str, str], tmp_path: Path, simulator: Simulator, anchors: Anchors,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    block, auth = tmp_path / "block", tmp_path / "auth"
    options = ["--id-key", files["key.pem"], "--guest-svn", "3", "--image-id", "ab" * 16]
    out = ["--id-block", str(block), "--id-auth", str(auth)]
    text = printed(capsys, *snp(files, *options, *out, *REFERENCE))
    written = base64.b64decode(block.read_bytes())
    digest = launch_digest(SnpLaunch(firmware(), 4, MILAN))
    assert written[:48] == digest
    assert written[64:80] == b"\xab" * 16
    assert int.from_bytes(written[84:88], "little") == 3
    assert len(base64.b64decode(auth.read_bytes())) == 4096
    # The public key alone gives the same digest, and the report of an accepted block carries it.
    public = json.loads(printed(capsys, *snp(files, "--id-key", files["public.pem"], "--json")))
    (key_digest,) = [value["value"] for value in public["values"] if value["claim"] == "snp.id-key"]
    machine = simulator.snp(measurement=digest, id_key_digest=bytes.fromhex(key_digest), guest_svn=3)
    verified = verify(machine.evidence, endorsements=machine.endorsements, at=NOON, anchors=anchors)
    assert appraise(verified, policy_of("snp", text), at=NOON).conforms
    other = simulator.snp(measurement=digest, id_key_digest=bytes(48))
    verified = verify(other.evidence, endorsements=other.endorsements, at=NOON, anchors=anchors)
    appraisal = appraise(verified, policy_of("snp", text), at=NOON)
    assert {problem.code for problem in appraisal.problems} == {"policy.snp.id-key"}


# -- TDX ----------------------------------------------------------------------------------------------


def test_a_td_launched_as_measured_conforms_and_another_does_not(
    files: dict[str, str], simulator: Simulator, anchors: Anchors, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, *tdx(files, *boot(files), "--memory", "16G", *REFERENCE))
    assert "# rtmr0 is not computed: the ACPI tables depend on" in text
    policy = policy_of("tdx", text)
    launch = TdxLaunch(firmware(), 16 * GIB, None, LinuxBoot(kernel(), b"an initrd", "console=hvc0"))
    values = {register.name: register.value for register in registers(launch) if register.value}
    for changed in (None, "mrtd", "rtmr1", "rtmr2"):
        fields: dict[str, Any] = {**values, **({changed: bytes(48)} if changed else {})}
        machine = simulator.tdx(**fields)
        verified = verify(machine.evidence, endorsements=machine.endorsements, at=NOON, anchors=anchors)
        appraisal = appraise(verified, policy, at=NOON)
        codes = {problem.code for problem in appraisal.problems}
        assert codes == ({f"policy.tdx.{changed}"} if changed else set())
        warned = {warning.code for warning in appraisal.warnings}
        assert not warned & {"os-unmeasured", "no-workload-identity"}


@pytest.mark.parametrize(
    ("more", "claims"),
    [
        ((), ["mrtd"]),
        (("--acpi",), ["mrtd", "rtmr0", "rtmr1", "rtmr2"]),
        (("--qemu-version", "10.2"), ["mrtd", "rtmr1", "rtmr2"]),
    ],
)
def test_registers_by_what_is_given(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], more: tuple[str, ...], claims: list[str]
) -> None:
    arguments = list(more)
    if more:
        arguments += boot(files)
    if "--acpi" in more:
        arguments[1:1] = [files["loader"], files["rsdp"], files["tables"]]
        arguments += ["--memory", "2048M"]
    answer = json.loads(printed(capsys, *tdx(files, *arguments, "--json")))
    assert [value["claim"] for value in answer["values"]] == [f"tdx.{name}" for name in claims]
    assert set(answer["left-out"]) == {"mrtd", "rtmr0", "rtmr1", "rtmr2"} - set(claims)


@pytest.mark.parametrize(
    ("version", "order", "header"),
    [
        ("8.2", "section", "qemu"),
        ("9.2.1", "page", "qemu"),
        ("10.1", "page", "qemu"),
        ("10.2", "page", "file"),
    ],
)
def test_the_version_of_qemu_chooses(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], version: str, order: str, header: str
) -> None:
    arguments = tdx(files, *boot(files), "--memory", "4G", "--json", "--qemu-version", version)
    origin = json.loads(printed(capsys, *arguments))["origin"]
    assert f"pages by {order}" in origin
    assert f"setup header by {header}" in origin


def test_registers_of_a_log_are_observed(
    files: dict[str, str], vectors: Vectors, capsys: pytest.CaptureFixture[str]
) -> None:
    case = "tdx-v4-uptodate-dstack-eventlog"
    log = str(vectors.path(vectors.cases[case]["files"]["quote_report_json"]))
    arguments = tdx(files, "--event-log", log, "--memory", "64G")
    text = printed(capsys, *arguments)
    assert "events are not computed" in text
    references = printed(capsys, *arguments, *REFERENCE)
    states = policy_of("tdx", references).body.references
    assert {name: found.values[0].state for name, found in states.items()} == {
        "web-mrtd": "active",
        "web-rtmr0": "observed",
        "web-rtmr1": "observed",
        "web-rtmr2": "observed",
    }
    assert main(tdx(files, "--event-log", files["ovmf"])) == 2
    assert main(tdx(files, "--event-log", log, *boot(files))) == 2
    assert "give --memory" in capsys.readouterr().err


# -- wrong use ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--initrd", "x"], "--initrd goes with --kernel"),
        (["--append", "x"], "--append goes with --kernel"),
        (["--guest-svn", "3"], "--guest-svn goes with --id-key"),
        (["--id-key", "text"], "no P-384 key"),
        (["--id-key", "missing"], "cannot be read"),
        (["--id-key", "public.pem", "--id-block", "a", "--id-auth", "b"], "holds a public key"),
        (["--id-key", "key.pem", "--id-block", "a"], "belong together"),
        (["--release", "x"], "go with --reference"),
        (["--reference", "Not A Name"], "a set's name"),
        (["--vmm", "ec2", "--kernel", "kernel"], "only QEMU starts a kernel"),
        (["--guest-features", "0x20"], "SNPActive"),
        (["--ovmf", "text"], "whole pages"),
        (["--ovmf", "missing"], "cannot be read"),
        (["--vcpu-type", "Xeon"], "unknown vCPU model"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_cannot_be_measured_is_said_in_one_sentence(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], more: list[str], said: str, as_json: bool,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if as_json and "--reference" in more:
        return
    assert main([*snp(files), *more, *(["--json"] if as_json else [])]) == 2
    out = capsys.readouterr()
    assert said in out.err.splitlines()[0]
    if as_json:
        answer = json.loads(out.out)
        assert answer["verdict"] == "malformed"
        assert said in answer["problems"][0]["message"]
    else:
        assert out.out == ""


def test_several_launches_have_no_one_id_block(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = snp(files, "--id-key", files["key.pem"], "--id-block", "a", "--id-auth", "b")
    arguments[arguments.index("4")] = "1,2"
    assert main(arguments) == 2
    assert "one number of --vcpus" in capsys.readouterr().err


def test_qemu_needs_a_model(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    common = ["measure", "snp", "--ovmf", files["ovmf"], "--vcpus", "1"]
    assert main(common) == 2
    assert "--vcpu-type or --vcpu-sig" in capsys.readouterr().err
    assert main([*common, "--vmm", "ec2"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--memory", "lots"],
        ["--qemu-version", "nine"],
        ["--from", "tomorrow"],
        ["--json", "--reference", "web"],
    ],
)
def test_wrong_options_end_with_status_2(files: dict[str, str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(tdx(files, *arguments))
    assert ended.value.code == 2


@pytest.mark.parametrize("vcpus", ["", "x", "1,1", "-1", ",".join(map(str, range(1, 66)))])
def test_numbers_of_vcpus(files: dict[str, str], vcpus: str) -> None:
    with pytest.raises(SystemExit):
        main(["measure", "snp", "--ovmf", files["ovmf"], f"--vcpus={vcpus}"])


def test_a_name_of_a_file_cannot_break_the_policy(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / 'a"b\\c\n#d: é\x1b[31m'
    odd.write_bytes(firmware())
    text = printed(capsys, "measure", "tdx", "--firmware", str(odd), "--reference", "web")
    assert "\x1b" not in text
    assert "web" in policy_of("tdx", text).body.references
