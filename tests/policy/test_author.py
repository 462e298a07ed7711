"""`attest policy init`: what was shown is accepted, and nothing weaker."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attest.anchors import Anchors
from attest.binding import Expected
from attest.cli.main import main
from attest.cli.suite_evidence import KEY
from attest.errors import AttestError
from attest.loader import load
from attest.memory import Memory
from attest.policy import Appraisal, Policy, appraise
from attest.policy.author import Machinery, author
from attest.policy.author_rules import quoted
from attest.policy.layout import lay_out
from attest.policy.nodes import ListNode, MapNode, Scalar
from attest.policy.suite import told
from attest.policy.suppose import change, judge, removal
from attest.policy.yaml_text import parse_yaml
from attest.simulator import FAULTS, Simulated, Simulator
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import NOON, Sample

NONCE = bytes(range(32))
LOG = {"event_log": True}
SNP_ONE = ("machine", {"product": "genoa"})
MACHINES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "snp": SNP_ONE,
    "milan-without-gpu": ("machine", {"product": "milan", "gpus": 0, "version": 3}),
    "tdx": ("machine", {"cpu": "tdx", "gpus": 2, "version": 5, **LOG}),
    "azure-snp": ("azure", {}),
    "azure-tdx": ("azure", {"kind": "tdx"}),
    "fabric": ("machine", {"gpus": 8, "switches": 4, "mode": "ppcie", "driver": "590.48.01"}),
}


class Makers:
    """Simulated machines, verified as their owner would."""

    def __init__(self, simulator: Simulator, anchors: Anchors) -> None:
        self.simulator, self.anchors = simulator, anchors

    def __call__(self, kind: str, /, **keywords: Any) -> Verified:
        made: Simulated = getattr(self.simulator, kind)(nonce=NONCE, key=KEY, **keywords)
        return verify(
            made.evidence,
            endorsements=made.endorsements,
            at=NOON,
            expected=Expected(nonce=NONCE, key=KEY),
            anchors=self.anchors,
            memory=Memory(),
        )

    def named(self, name: str, **keywords: Any) -> Verified:
        kind, base = MACHINES[name]
        return self(kind, **{**base, **keywords})


@pytest.fixture(scope="module")
def made(simulator: Simulator, anchors: Anchors) -> Makers:
    return Makers(simulator, anchors)


def written(*shown: Verified) -> Policy:
    machines = [Machinery(one, f"m{index}.json", NOON) for index, one in enumerate(shown)]
    text = author(machines, name="written")
    assert lay_out(text) == text
    return Policy.from_text(text, "p.yaml")


def denials(appraisal: Appraisal) -> set[str]:
    return {problem.code.removeprefix("policy.") for problem in appraisal.problems}


@pytest.mark.parametrize("name", MACHINES)
def test_what_was_shown_is_accepted(made: Makers, name: str) -> None:
    shown = made.named(name)
    appraisal = appraise(shown, written(shown), at=NOON)
    assert appraisal.verdict == "conforms-with-warnings"
    assert {warning.code for warning in appraisal.warnings} == {"simulated", "os-unmeasured"}
    assert "observed" in {record["outcome"] for record in appraisal.rules}


WEAKER: list[tuple[str, dict[str, Any], set[str]]] = [
    ("snp", {"tcb": {"snp": 24}}, {"snp.tcb", "snp.tcb-committed", "snp.tcb-launch"}),
    ("snp", {"reported_tcb": {"bootloader": 9}}, {"snp.tcb"}),
    ("snp", {"reported_tcb": {"microcode": 83}}, {"snp.tcb"}),
    ("snp", {"committed_build": 42}, {"snp.firmware"}),
    ("snp", {"version": 3}, {"snp.report-version", "snp.mitigations-launch", "snp.mitigations-current"}),
    ("snp", {"launch_mit_vector": 0}, {"snp.mitigations-launch"}),
    ("snp", {"current_mit_vector": 0}, {"snp.mitigations-current"}),
    ("snp", {"measurement": b"other"}, {"snp.measurement"}),
    ("snp", {"host_data": b"other"}, {"snp.host-data"}),
    ("snp", {"platform_info": 0x21}, {"snp.ecc"}),
    ("snp", {"product": "milan"}, {"snp.product", "snp.tcb", "snp.tcb-committed", "snp.tcb-launch", "snp.firmware"}),
    ("snp", {"signing_key": "vlek"}, {"snp.signing-key"}),
    ("snp", {"gpus": 0}, {"gpu.count", "gpu.present", "binding.gpu-to-cpu", "binding.gpu-strength"}),
    ("snp", {"gpus": 2}, {"gpu.count"}),
    ("snp", {"driver": "550.54.15"}, {"gpu.driver"}),
    ("snp", {"driver": "535.129.03"}, {"gpu.driver"}),
    ("snp", {"vbios": "96.00.74.00.1A"}, {"gpu.vbios"}),
    ("snp", {"architecture": "blackwell"}, {"gpu.architecture", "gpu.model", "gpu.vbios"}),
    ("snp", {"mode": "ppcie", "driver": "590.48.01"}, {"gpu.mode"}),
    ("fabric", {"switches": 3}, {"switch.count"}),
    ("fabric", {"switches": 0}, {"switch.count", "switch.present"}),
    ("fabric", {"gpus": 7}, {"gpu.count"}),
    ("fabric", {"mode": "spt"}, {"gpu.mode"}),
    ("tdx", {"mrtd": b"other"}, {"tdx.mrtd"}),
    ("tdx", {"mrconfigid": b"other"}, {"tdx.mrconfigid"}),
    ("tdx", {"mrowner": b"other"}, {"tdx.mrowner"}),
    ("tdx", {"mrownerconfig": b"other"}, {"tdx.mrownerconfig"}),
    ("tdx", {"xfam": 0x2E7}, {"tdx.xfam"}),
    ("tdx", {"event_log": False}, {"tdx.event-log", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2",
     "boot.kernel", "boot.initrd", "boot.cmdline", "boot.secure-boot"}),
    ("tdx", {"gpus": 1}, {"gpu.count"}),
    ("azure-snp", {"measurement": b"other"}, {"snp.measurement"}),
    ("azure-snp", {"guest_svn": 9}, {"snp.guest-svn"}),
    ("azure-snp", {"id_key_digest": b"other"}, {"snp.id-key"}),
    ("azure-snp", {"tcb": {"snp": 23}}, {"snp.fixed", "snp.tcb", "snp.tcb-committed", "snp.tcb-launch"}),
    ("azure-tdx", {"mrtd": b"other"}, {"tdx.mrtd"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "weaker", "because"), WEAKER, ids=[f"{name} {weaker}" for name, weaker, _ in WEAKER]
)
def test_one_weaker_claim_is_refused_for_it(
    made: Makers, name: str, weaker: dict[str, Any], because: set[str]
) -> None:
    policy = written(made.named(name))
    found = denials(appraise(made.named(name, **weaker), policy, at=NOON))
    assert because <= found
    # What Azure's paravisor says is unknown once it is not the one that was shown.
    assert found - because <= (
        {"azure"} if "azure" not in name else {one for one in found if one.startswith("azure")}
    )


HARMLESS = {
    # Signed bits nobody knows, bytes behind the evidence: warned of, and no claim is another.
    "snp-reserved-signed", "tdx-trailing-text", "tdx-evaluations-differ", "tdx-perfmon",
    "gpu-opaque-unknown", "gpu-tail-zero", "switch-opaque-unknown", "switch-tail-zero",
    # Not every register is pinned: these are the guest's own.
    "azure-ak-certificate-crl-missing",
    # Of the whole fabric and of sites, whose evidence is another.
    "fabric-gpu-missing", "fabric-switch-missing", "fabric-no-switches", "site-epoch-old",
}  # fmt: skip
AUTHENTIC = [fault for fault in FAULTS.values() if not fault.codes and fault.name not in HARMLESS]


@pytest.mark.parametrize("fault", AUTHENTIC, ids=lambda fault: fault.name)
def test_every_authentic_fault_of_the_simulator_is_refused(made: Makers, fault: Any) -> None:
    name = {"snp": "snp", "gpu": "snp", "tdx": "tdx", "azure": "azure-snp", "switch": "fabric"}[fault.vendor]
    kind, base = MACHINES[name]
    if fault.vendor == "azure" and "event_log" in fault.keywords:
        base = {**base, **LOG}
    shown = made(kind, **base)
    policy = written(shown)
    assert appraise(shown, policy, at=NOON).conforms
    if fault.vendor == "switch":
        # A machine's switches are all honest in this simulator: what the fault says is supposed of one.
        said = [change(f"switch[0].{claim}", value) for claim, value in fault.claims.items()]
        assert judge(shown, policy, at=NOON, changes=said).verdict == "refused"
        return
    try:
        worse = made(kind, **{**base, **fault.keywords}, fault=fault.name)
    except AttestError:
        return  # together with the rest of a machine it is no longer authentic
    assert not appraise(worse, policy, at=NOON).conforms


@pytest.mark.parametrize("name", MACHINES)
def test_a_claim_that_is_taken_away_is_refused(made: Makers, name: str) -> None:
    """Each claim that a rule stands on, one after the other; the unknown is not as good as what was shown."""
    shown = made.named(name)
    policy = written(shown)
    asked = {
        record["rule"]
        for record in appraise(shown, policy, at=NOON).rules
        if record["found"] and record["at"] != "default"
    }
    tried = 0
    for rule in sorted(str(rule) for rule in asked):
        claim = rule.rpartition(".")[2]
        if "." not in rule or claim in ("count", "present", "any", "all", "fixed"):
            continue
        judgement = judge(shown, policy, at=NOON, changes=[removal(rule)])
        assert judgement.verdict == "refused", rule
        tried += 1
    assert tried > 10


def test_several_machines_are_accepted_and_no_mixture_of_them(made: Makers) -> None:
    old = made("machine", product="milan", driver="570.86", gpus=1)
    new = made("machine", product="genoa", driver="550.90.07", gpus=2, host_data=b"d")
    policy = written(old, new)
    assert appraise(old, policy, at=NOON).conforms
    assert appraise(new, policy, at=NOON).conforms
    mixtures = [
        (old, change("snp.firmware", "1.55.30")),
        (old, change("snp.host-data", new.claims["snp"]["host-data"])),
        (new, removal("snp.host-data")),
        (new, change("snp.firmware", old.claims["snp"]["firmware"])),
        (new, change("snp.tcb", {"snp": "24"})),
        (new, change("gpu.driver", "560.35.03")),
    ]
    for shown, mixture in mixtures:
        judgement = judge(shown, policy, at=NOON, changes=[mixture])
        assert judgement.verdict == "refused", told(mixture)
    third = made("machine", product="genoa", gpus=3, host_data=b"d")
    assert denials(appraise(third, policy, at=NOON)) == {"gpu.count"}


def test_what_is_safe_on_one_machine_does_not_excuse_another(made: Makers) -> None:
    """Old firmware on a platform without SMT and with ECC, new firmware on one with SMT and without: neither old firmware
    beside SMT was shown, nor a platform with the worst of both."""
    old = made("machine", gpus=0, tcb={"snp": 24}, platform_info=0x24)
    new = made("machine", gpus=0, platform_info=0x29)
    policy = written(old, new)
    for shown in (old, new):
        assert appraise(shown, policy, at=NOON).conforms
    mixtures = [
        [change(f"snp.{name}", {"snp": "24"}) for name in ("tcb", "tcb-committed", "tcb-launch")],
        [change("snp.rapl-off", "false")],
    ]
    for mixture in mixtures:
        assert judge(new, policy, at=NOON, changes=mixture).reasons == ("snp.any",)
    assert judge(old, policy, at=NOON, changes=[change("snp.ecc", "false")]).reasons == ("snp.any",)


def test_a_machine_that_shows_nothing_to_ask_for_is_accepted_beside_others(made: Makers) -> None:
    shown = [
        made("machine", gpus=0, guest_svn=5, launch_mit_vector=1),
        made("machine", gpus=0, guest_svn=6, launch_mit_vector=3),
        made("machine", gpus=0, guest_svn=0, launch_mit_vector=0),
    ]
    policy = written(*shown)
    for one in shown:
        assert appraise(one, policy, at=NOON).conforms


def test_incomparable_firmware_is_accepted_as_shown_only(made: Makers) -> None:
    one = made("machine", gpus=0, tcb={"snp": 26, "microcode": 80})
    two = made("machine", gpus=0, tcb={"snp": 25, "microcode": 90})
    policy = written(one, two)
    for shown in (one, two):
        assert appraise(shown, policy, at=NOON).conforms
    worst_of_both = [
        change(f"snp.{name}", {"snp": "25", "microcode": "80"})
        for name in ("tcb", "tcb-committed", "tcb-launch")
    ]
    assert judge(one, policy, at=NOON, changes=worst_of_both).reasons == ("snp.any",)


def test_every_pair_of_platforms(made: Makers) -> None:
    shown = {name: made.named(name) for name in ("milan-without-gpu", "azure-snp", "azure-tdx")}
    shown["td"] = made("machine", cpu="tdx", gpus=0)
    for left, right in itertools.combinations(shown, 2):
        policy = written(shown[left], shown[right])
        for name, one in shown.items():
            assert appraise(one, policy, at=NOON).conforms == (name in (left, right)), (left, right, name)


def test_machines_with_and_without_a_gpu_want_a_policy_each(made: Makers) -> None:
    with pytest.raises(ValueError, match=r"m1\.json has no gpu"):
        written(made.named("snp"), made("machine", gpus=0))
    with pytest.raises(ValueError, match="written from evidence"):
        author([], name="x")


@pytest.mark.parametrize(
    ("name", "fault", "because"),
    [
        ("snp", "snp-debug", {"snp.debug"}),
        ("snp", "snp-vmpl-1", {"snp.vmpl"}),
        ("snp", "gpu-rim-missing", {"gpu.measurements"}),
        ("tdx", "tdx-out-of-date", {"tdx.tcb-status"}),
    ],
)
def test_what_is_unsafe_becomes_a_rule_that_refuses_it(
    made: Makers, name: str, fault: str, because: set[str]
) -> None:
    shown = made.named(name, fault=fault, **FAULTS[fault].keywords)
    machine = Machinery(shown, "m.json", NOON)
    text = author([machine], name="written")
    policy = Policy.from_text(text, "p.yaml")
    appraisal = appraise(shown, policy, at=NOON)
    assert denials(appraisal) == because
    (rule,) = because
    assert f"UNSAFE: what was shown does not meet {rule}" in " ".join(text.replace("# ", "").split())
    # It is a line of the file that refuses, not the default behind it.
    assert all(record["at"] != "default" for record in appraisal.rules if record["outcome"] == "deny")


def test_half_a_fabric_is_no_protected_pcie(made: Makers) -> None:
    for keywords in ({"switches": 3}, {"switches": 0}, {"gpus": 7}):
        shown = made.named("fabric", **keywords)
        policy = written(shown)
        assert denials(appraise(shown, policy, at=NOON)) == {"gpu.mode"}


def test_the_floor_of_collateral_stays_beside_what_was_shown(made: Makers) -> None:
    shown = made("machine", cpu="tdx", gpus=0)
    rules = appraise(shown, written(shown), at=NOON).rules
    assert [rule["at"] for rule in rules if rule["rule"] == "tdx.tcb-evaluation"] == ["floor"]
    assert "tdx.all" in {rule["rule"] for rule in rules}


def test_an_advisory_that_is_not_met_is_said_and_not_asked_for(made: Makers) -> None:
    shown = made("machine", product="milan", gpus=0, tcb={"snp": 23})
    text = author([Machinery(shown, "m.json", NOON)], name="written")
    assert "NOT MET: AMD-SB-3019 needs snp ≥ 24 on Milan, shown 23." in " ".join(
        text.replace("# ", "").split()
    )
    assert "    # fixed: [amd-sb-3019]\n" in text
    assert "    fixed: [amd-sb-3015]\n" in text
    assert appraise(shown, Policy.from_text(text), at=NOON).conforms


def test_no_chip_guest_or_challenge_is_named(made: Makers) -> None:
    for name in MACHINES:
        shown = made.named(name)
        policy = written(shown)
        names = {entry.name for entries in policy.body.sections.values() for entry in entries}
        assert not names & {"snp.chip-id", "snp.report-id", "gpu.id", "switch.id", "azure.vm-id"}
        assert NONCE.hex() not in policy.canonical().decode()
        again = made.named(name)  # the same machine, another boot of it
        if "snp" in again.claims:
            other = [change("snp.report-id", "ab" * 32), change("snp.chip-id", "cd" * 64)]
            assert judge(again, policy, at=NOON, changes=other).verdict == "conforms-with-warnings"


def test_each_line_says_what_it_protects_from(made: Makers) -> None:
    for name in MACHINES:
        lines = author([Machinery(made.named(name), "m.json", NOON)], name="written").splitlines()
        require = lines.index("require:")
        for number, line in enumerate(lines[require:], require):
            if (
                line.startswith("    ")
                and line[4] not in " #-"
                and not line.startswith(("    any:", "    all:"))
            ):
                assert lines[number - 1].startswith("    #"), line


def test_what_holds_where_it_is_known_is_not_said_to_hold_always(
    simulator: Simulator, anchors: Anchors, made: Makers
) -> None:
    """A default that passes an absent claim: nonce, among them, which a verifier without a challenge cannot tell."""
    text = author([Machinery(made.named("snp"), "m.json", NOON)], name="t")
    said = " ".join(line.strip(" #") for line in text.splitlines())
    assert "Held by default, without a line: gpu-to-cpu true." in said
    assert (
        "Held by default where it is known, and passed over where it is not: protocol ≥ 0.4; nonce true."
        in said
    )
    unasked = simulator.snp()
    alone = verify(
        unasked.evidence, endorsements=unasked.endorsements, at=NOON, anchors=anchors, memory=Memory()
    )
    text = author([Machinery(alone, "m.json", NOON)], name="t")
    assert "# binding: {nonce: true, key: true}" in text
    asking = Policy.from_text(text.replace("# binding: {", "binding: {"), "p.yaml")
    assert not appraise(alone, Policy.from_text(text, "p.yaml"), at=NOON).problems
    assert denials(appraise(alone, asking, at=NOON)) == {"binding.nonce", "binding.key"}


def test_all_warnings_that_the_policy_gives_are_listed(simulator: Simulator, anchors: Anchors) -> None:
    """Not only those of verification: each withholds a release until it is allowed."""
    bare = simulator.plan_snp()
    bare.crl = None
    made = bare.build()
    seen = verify(made.evidence, endorsements=made.endorsements, at=NOON, anchors=anchors)
    text = author([Machinery(seen, "m.json", NOON)], name="t")
    listed = set(re.findall(r'^#   ([a-z-]+): "your reason"$', text, re.MULTILINE))
    warned = {one.code for one in appraise(seen, Policy.from_text(text, "p.yaml"), at=NOON).warnings}
    assert {"revocation-unchecked", "no-freshness", "os-unmeasured", "simulated"} <= warned
    assert listed == warned
    lines = text.replace("# allow-warnings:", "allow-warnings:")
    allowing = Policy.from_text(re.sub(r"^#   ([a-z-]+: \")", r"  \1", lines, flags=re.MULTILINE), "p.yaml")
    assert not appraise(seen, allowing, at=NOON).release_problems()


def test_real_evidence(genoa: Sample, td: Sample, h100: Sample) -> None:
    for sample in (genoa, td, h100):
        shown = verify(sample.evidence, endorsements=sample.endorsements, at=sample.at)
        policy = Policy.from_text(author([Machinery(shown, "real", sample.at)], name="real"))
        assert appraise(shown, policy, at=sample.at).conforms


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@example("a:")
@example("\U000e0001\x85\ufeff\x7f")
def test_any_text_is_written_so_that_it_reads_back(text: str) -> None:
    node = parse_yaml(f"k: [{quoted(text)}, {quoted(text)}]")
    assert isinstance(node, MapNode)
    ((_, listed),) = node.entries
    assert isinstance(listed, ListNode)
    assert [item.text for item in listed.items if isinstance(item, Scalar)] == [text, text]


def test_the_suite_names_files_whatever_they_are_called(
    genoa: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def init(folder: Path) -> int:
        folder.mkdir()
        files = [folder / file.name for file in genoa.files]
        for copy, file in zip(files, genoa.files, strict=True):
            copy.write_bytes(file.read_bytes())
        line = [
            "policy",
            "init",
            "--at",
            genoa.at.isoformat(),
            "-o",
            str(tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"),
        ]
        return main([*line, "--name", "n", "--suite", "--from", *map(str, files)])

    assert init(tmp_path / "a\x7f\u2028b: #") == 0
    (suite,) = tmp_path.glob("*.test.yaml")
    assert main(["policy", "test", str(suite)]) == 0
    assert init(tmp_path / os.fsdecode(b"\xff")) == 2
    assert "a file's name is not UTF-8" in capsys.readouterr().err


# -- the command --------------------------------------------------------------------------------------


def test_init_writes_once_and_says_what_it_accepts(
    genoa: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.yaml"
    line = [
        "policy",
        "init",
        "--at",
        genoa.at.isoformat(),
        "--name",
        "mine",
        "-o",
        str(out),
        "--from",
        *map(str, genoa.files),
    ]
    assert main(line) == 0
    said = capsys.readouterr()
    assert Policy.read(out).digest in said.out
    report = next(file.name for file in genoa.files if file.suffix == ".bin")
    assert said.err == f"{report}: conforms-with-warnings\n"
    assert main(line) == 2
    assert "exists: choose another name" in capsys.readouterr().err


def test_init_as_json_and_of_evidence_that_is_refused(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = simulator.snp(fault="snp-vmpl-1")
    for name, data in {**made.files, "root.pem": made.roots_pem}.items():
        (tmp_path / name).write_bytes(data)
    files = [str(tmp_path / name) for name in made.files]
    line = ["policy", "init", "--json", "--at", NOON.isoformat(), "--from", *files]
    assert main([*line, "--simulator-root", str(tmp_path / "root.pem")]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["name"] == "simulated-report"
    assert [problem["code"] for problem in document["machines"][0]["problems"]] == ["policy.snp.vmpl"]
    assert Policy.from_text(document["policy"]).digest == document["digest"]
    assert main(line) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "refused"


def test_init_of_several_machines_shares_endorsements(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports, shared = [], []
    for index in range(2):
        made = simulator.snp(chip_number=index, measurement=bytes([index + 1]))
        folder = tmp_path / str(index)
        folder.mkdir()
        for name, data in made.files.items():
            (folder / name).write_bytes(data)
        reports.append([str(folder / "simulated-report.bin"), str(folder / "simulated-vcek.der")])
        shared = [str(folder / "simulated-cert-chain.pem"), str(folder / "simulated-ark.crl")]
    (tmp_path / "root.pem").write_bytes(simulator.roots_pem)
    froms = [word for files in reports for word in ("--from", *files)]
    line = [
        "policy",
        "init",
        *froms,
        "--simulator-root",
        str(tmp_path / "root.pem"),
        "--at",
        NOON.isoformat(),
    ]
    assert main([*line, "--name", "two", "--", *shared]) == 0
    policy = Policy.from_text(capsys.readouterr().out)
    assert len(policy.body.references["snp-measurement"].values) == 2
    for files in reports:
        evidence, endorsements = load(*files, *shared)
        shown = verify(
            evidence, endorsements=endorsements, at=NOON, anchors=simulator.anchors(), memory=Memory()
        )
        assert appraise(shown, policy, at=NOON).conforms


# -- its suite -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["snp", "tdx", "azure-snp", "azure-tdx", "two"])
def test_the_suite_that_init_writes_tries_every_rule(made: Makers, simulator: Simulator, name: str) -> None:
    from attest.policy.author_suite import Shown, author_suite
    from attest.policy.suite import Source, read_suite
    from attest.policy.trial import run

    shown = {"one": made.named(name)} if name != "two" else {
        "one": made("machine", product="milan", driver="570.86"), "other": made("machine", gpus=2),
    }  # fmt: skip
    machines = [Machinery(one, f"{key}.json", NOON) for key, one in shown.items()]
    policy = Policy.from_text(author(machines, name="written"), "p.yaml")
    text = author_suite(
        [
            Shown(machine, [f"{key}.json"], {"nonce": NONCE.hex()})
            for key, machine in zip(shown, machines, strict=True)
        ],
        policy,
        simulator_root=None,
    )
    suite = read_suite(text)
    assert suite.tests[0].source.expected == {"nonce": NONCE.hex()}

    def of(source: Source, at: object) -> Verified:
        return shown[source.files[0].removesuffix(".json")]

    trial = run(suite, policy, of, now=NOON)
    assert trial.passed
    assert {rule.rule: rule.missing for rule in trial.uncovered} == {}


def test_init_writes_policy_and_suite_side_by_side(
    genoa: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "p.yaml"
    out.parent.mkdir()
    for file in genoa.files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    files = [str(tmp_path / file.name) for file in genoa.files]
    line = ["policy", "init", "--at", genoa.at.isoformat(), "--from", *files, "--suite"]
    assert main([*line]) == 2
    assert "--suite wants -o NAME.yaml" in capsys.readouterr().err
    assert main([*line, "-o", str(out)]) == 0
    suite = out.with_name("p.test.yaml")
    assert "../report.bin" in suite.read_text()
    assert main(["policy", "test", str(suite), "--require-coverage"]) == 0
