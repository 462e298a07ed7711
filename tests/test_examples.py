"""Every example of a help text and of the README does what it says, with files of the names it gives.

Files are made by the simulator, for NOON. What an example cannot say is added: the simulator's root, the time.
"""

from __future__ import annotations

import argparse
import glob
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attest.binding import report_data
from attest.bundle import Kind, write_bundle
from attest.cli import collect
from attest.cli.main import build_parser, main
from attest.collect import Interfaces, Machine
from attest.dsse import seal_envelope
from attest.policy.builtin import floor_data
from attest.policy.suite import read_suite
from attest.simulator import Simulator
from attest.simulator.certificates import pem
from attest.simulator.machine import challenge
from attest.simulator.simulated import Simulated
from tests.collect.kernel import snp_kernel
from tests.collect.test_end_to_end import jwk, site_key
from tests.conftest import NOON, ROOT
from tests.examples import blocks, of_blocks, of_help
from tests.interchange import corim_maker
from tests.interchange.test_azure_skr import pinned
from tests.interchange.test_go_sev_guest import SEV
from tests.interchange.test_import_command import NVIDIA
from tests.measure.firmware import firmware, kernel
from tests.policy.test_language_commands import Key

README = (ROOT / "README.md").read_text()
AS_WRITTEN = ("Release keys", "Try it without the hardware")
"""Sections of the README whose commands run one after the other: `tests/test_readme.py`."""
NONCE = bytes(range(1, 33))
AZURE = " ".join(
    f"--param {name}={value}"
    for name, value in read_suite((ROOT / "policies" / "azure-cvm.test.yaml").read_bytes()).parameters.items()
)

NOT_RUN = {
    r"verify report\.bin --fetch": "asks the vendors: tests/sources/test_command.py does, of servers like theirs",
    r"endorsements fetch": "asks the vendors: tests/sources/test_command.py does, of servers like theirs",
    r"opa eval": "asks another engine: tests/interchange/test_exporting_rego.py does",
    r"endorsements serve": "serves until it is stopped: tests/sources/test_bundle_commands.py",
}
STATUS = {
    "attest endorsements verify endorsements/* --at 2027-01-01T00:00:00Z": 1,  # what will have ended by then
    "attest policy diff p.yaml next.yaml --with fleet/": 1,  # looser
    "attest policy export --rego p.yaml -o default_cpu.rego": 1,  # what Trustee's input does not carry
    "attest policy export --rego prod.yaml -o default_cpu.rego": 1,
    "attest policy export --rego snp.yaml -o default_cpu.rego "
    '--without snp.policy-unknown-bits="the image\'s loader sets POLICY"': 1,  # left out
}
"""Where it is not 0."""
POLICY = (
    "policy: 1\nname: {name}\nplatforms: [snp, tdx]\nrequire: {{snp: {{{rule}}}, tdx: {{debug: false}}}}\n"
)
SUITE = """\
at: 2026-11-23T12:00:00Z
simulator-root: simulator-root.pem
evidence:
  report: {{files: [report.bin, vcek.der], report-data: "{bound}"}}
  quote: {{files: [quote.bin, collateral.json], report-data: "{bound}"}}
tests:
  - {{evidence: report, expect: conforms-with-warnings}}
  - {{evidence: quote, expect: conforms-with-warnings}}
  - {{evidence: report, set: {{snp.vmpl: 1}}, expect: refused, because: [snp.vmpl]}}
  - {{evidence: quote, set: {{tdx.debug: true}}, expect: refused, because: [tdx.debug]}}
  - {{evidence: report, unset: [snp], expect: refused, because: [platforms]}}
"""

EXAMPLES = sorted(
    {
        *of_help(build_parser()),
        *of_blocks([text for text in blocks(README) if text not in
                    [own for name in AS_WRITTEN for own in blocks(README, name)]]),
    }
)  # fmt: skip


def not_run(example: str) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, example)), None)


KINDS: dict[str, Kind] = {".xml": "rim", ".ocsp": "ocsp", ".crl": "crl", ".der": "certificates", ".pem": "certificates",
                          ".json": "intel-collateral"}  # fmt: skip


def endorsements(made: Simulated) -> dict[str, bytes]:
    """Files as `attest endorsements fetch -o vendor/` names them."""
    evidence = ("simulated-machine.json", "simulated-quote.bin")
    files = {}
    for name, data in made.files.items():
        if name in evidence:
            continue
        plain = name.removeprefix("simulated-")
        if "ocsp" in plain and "rim" not in plain:
            continue  # about the device: who it is says its evidence alone
        if "ocsp" in plain:
            plain = f"{plain.removesuffix('.der')}.ocsp"
        files[f"rim-{plain}" if plain.endswith(".xml") else plain] = data
    return files


def entries(made: Simulated) -> list[tuple[Kind, bytes]]:
    return [(KINDS[Path(name).suffix], data) for name, data in endorsements(made).items()]


def one_file(made: Simulated) -> bytes:
    """Evidence of a machine and its endorsements, as `attest collect` would write them together."""
    evidence: list[tuple[Kind, bytes]] = [("snp-report", made.raw)]
    if made.additional:
        evidence.append(("additional-evidence", made.additional.encode()))
    return write_bundle([*evidence, *entries(made)])


@pytest.fixture(scope="module")
def prepared(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    bound = report_data(challenge(NONCE), None, "")
    snp, tdx = simulator.snp(report_data=bound), simulator.tdx(report_data=bound)
    machine = simulator.machine(nonce=NONCE, key=jwk())
    one_cpu = simulator.machine(nonce=NONCE, gpus=0)
    azure = simulator.azure(nonce=NONCE, key=jwk())
    asked = simulator.nras(nonce=NONCE)
    asked_gpus = simulator.gpus(len(asked.asked), NONCE)
    device = simulator.plan_gpu(nonce=NONCE).build()
    keys = {name: Key(folder, name) for name in ("ours", "rims")}
    vendor = ec.generate_private_key(ec.SECP384R1())
    measured = corim_maker.triple(
        corim_maker.environment(), corim_maker.measured(641, digest=corim_maker.MEASURED)
    )
    manifest = corim_maker.signed(corim_maker.corim(measured, profile=corim_maker.AMD), vendor)
    files: dict[str, bytes | str] = {
        "firmware.cbor": manifest,
        "ref.cbor": manifest,
        "vendor.pem": corim_maker.pem(vendor),
        "simulator-root.pem": simulator.roots_pem,
        "report.bin": snp.raw,
        # With its issuers, which are known of AMD's and not of the simulator's.
        "vcek.der": pem(snp.files["simulated-vcek.der"]) + snp.files["simulated-cert-chain.pem"],
        "ark.crl": snp.files["simulated-ark.crl"],
        "crl.der": snp.files["simulated-ark.crl"],
        "fleet.crl": snp.files["simulated-ark.crl"],
        "quote.bin": tdx.raw,
        "collateral.json": write_bundle(entries(tdx)),
        "gpu-report.txt": device.report.hex(),
        "chain.pem": b"".join(map(pem, device.chain)),
        "driver-rim.xml": next(data for name, data in device.rims.items() if "DRIVER" in name),
        "vbios-rim.xml": next(data for name, data in device.rims.items() if "VBIOS" in name),
        "azure.json": write_bundle(
            [
                ("azure-evidence", azure.files["simulated-az-snp-vtpm.json"]),
                ("ak-certificate", azure.files["simulated-ak-certificate.bin"]),
                ("certificates", azure.files["simulated-cert-chain.pem"]),
                ("certificates", azure.files["simulated-ak-ca.pem"]),
            ]
        ),
        "gpus.json": asked_gpus.files["simulated-gpu-evidence.json"],
        "t.json": asked.answer,
        "k.json": asked.jwks,
        "machine.bundle.json": one_file(machine),
        "a.bundle.json": one_file(one_cpu),
        "b.bundle.json": one_file(one_cpu),
        "key.json": as_json(jwk()),
        "site.json": as_json(site_key()),
        "p.yaml": POLICY.format(name="p", rule="vmpl: 0"),
        "prod.yaml": POLICY.format(name="prod", rule="vmpl: 0"),
        "next.yaml": POLICY.format(name="next", rule='vmpl: {at-most: 1, override: "lab"}'),
        "snp.yaml": "policy: 1\nname: snp\nplatforms: [snp]\nrequire: {snp: {vmpl: 0}}\n",
        "team.yaml": POLICY.format(name="team", rule="debug: false"),
        "release-policy.json": pinned(),
        "check.textproto": SEV,
        "NVGPURemotePolicyExample.json": as_json(NVIDIA),
        "floors.dsse": seal_envelope("floors", floor_data().replace(b'"1"', b'"5"', 1), keys["ours"].key),
        "OVMF.fd": firmware(),
        "vmlinuz": kernel(),
        "bzImage": kernel(),
        "initrd": b"an initrd",
        **dict.fromkeys(("table-loader", "rsdp", "tables"), b"acpi"),
    }
    simulator.save(folder / "state.json")
    for name in ("p", "prod"):
        files[f"{name}.test.yaml"] = SUITE.format(bound=bound.hex())
    for place in ("fleet", "vendor", "endorsements"):
        (folder / place).mkdir()
    for name in ("one.bin", "two.json"):
        files[f"fleet/{name}"] = one_file(one_cpu)
    for name, data in endorsements(machine).items():
        files[f"vendor/{name}"] = files[f"endorsements/{name}"] = data
    for name, text in files.items():
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    openssl = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{} -out {} && chmod 600 {}"
    for curve, name in (("P-256", "results.key"), ("P-384", "id.pem")):
        subprocess.run(openssl.format(curve, name, name), shell=True, cwd=folder, check=True)
    shutil.copytree(ROOT / "policies", folder / "policies")
    return folder


def as_json(key: object) -> str:
    import json

    return json.dumps(key)


@pytest.fixture
def here(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared files, with a bundle that our key signed, as the working folder."""
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ATTEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTEST_FLOORS_KEY", raising=False)
    return folder


def words_of(example: str) -> list[str]:
    """What the shell makes of a line, with values for its placeholders."""
    more = "--firmware OVMF.fd --kernel bzImage --initrd initrd --append x --memory 16G"
    text = re.sub(r"(--(?:report-data|gpu-nonce|tpm-nonce|nonce)) HEX", _value, example)
    text = text.replace("FILE...", "report.bin").replace("https://host", "https://host.example")
    text = text.replace("…", f"--nonce {NONCE.hex()} --key key.json {AZURE}" if "azure" in text else more)
    words = []
    for word in shlex.split(text):
        words += sorted(glob.glob(word)) if "*" in word else [word]
    return words


def _value(found: re.Match[str]) -> str:
    bound = report_data(challenge(NONCE), None, "")
    return f"{found[1]} {(bound if found[1] == '--report-data' else NONCE).hex()}"


def added(words: list[str]) -> list[str]:
    """What the line cannot say: that evidence is simulated, and of which time; by keys that are there, as RSA takes
    its time."""
    parser: argparse.ArgumentParser = build_parser(words[0])
    for word in words:
        below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not below or word not in below[0].choices:
            break
        parser = below[0].choices[word]
    known = {option for action in parser._actions for option in action.option_strings}
    more = {"--simulator-root": "simulator-root.pem", "--at": NOON.isoformat(), "--state": "state.json"}
    return [
        part
        for option, value in more.items()
        if option in known and option not in words and ("import" not in words or "corim" in words)
        for part in (option, value)
    ]


def test_the_table_speaks_of_examples_that_there_are() -> None:
    left = [example for example in EXAMPLES if not_run(example)]
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, example) for example in left)] == []
    assert set(STATUS) <= set(EXAMPLES)
    assert len(EXAMPLES) - len(left) > 60


@pytest.mark.parametrize("example", [example for example in EXAMPLES if not not_run(example)])
def test_an_example_does_what_it_says(
    example: str,
    here: Path,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if example.startswith("openssl"):
        (here / "ours.pub").unlink()
        subprocess.run(example, shell=True, check=True)
        return
    line, _, _ = example.partition(" > ")
    line, _, given = line.partition(" < ")
    words = words_of(line)
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("="))
    assert words.pop(0) == "attest"
    if "fleet.bundle.json" in words and "-o" not in words:
        signed = [
            "endorsements",
            "bundle",
            *glob.glob("fleet/*.bin"),
            *glob.glob("vendor/*"),
            "--sign",
            "ours.key",
        ]
        assert main([*signed, "-o", "fleet.bundle.json", *added(signed)]) == 0
    if "-o" in words and words[1] in ("init", "import"):
        Path(words[words.index("-o") + 1]).unlink(missing_ok=True)  # never over a file
        Path("p.test.yaml").unlink(missing_ok=True)
    if given:
        monkeypatch.setattr("sys.stdin", open(given))  # noqa: SIM115
    if words[0] == "collect":
        parsed = build_parser("collect").parse(words)
        interfaces = Interfaces(tsm=snp_kernel(simulator))
        status = collect.run(parsed, Machine(root=here), interfaces)
    else:
        status = main([*words, *added(words)])
    out, err = capfd.readouterr()
    assert status == STATUS.get(example, 0), out + err
    assert "Traceback" not in out + err
    assert os.listdir(here)
