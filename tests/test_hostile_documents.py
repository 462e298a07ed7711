"""Documents made to exhaust, to crash or to deceive: each ends as a typed problem, soon and in little memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from attest import Rejected, verify
from attest.anchors import Anchors
from attest.bundle import Kind, write_bundle
from attest.cli.main import main
from attest.composite import write_primary
from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.evidence import Evidence
from attest.recognise import Found, recognise
from attest.simulator import Simulator
from attest.x509 import Certificate
from tests.conftest import EVIDENCE
from tests.test_bad_input import MEMORY_LIMIT, attest_command

FULL = (16 << 20) - 64

LARGE: dict[str, Callable[[], bytes]] = {
    "lists": lambda: b"[" + b"[]," * (FULL // 3) + b"[]]",
    "objects": lambda: b"[" + b"{}," * (FULL // 3) + b"{}]",
    "opened": lambda: b"[" * FULL,
    "closed": lambda: b"[" + b"]" * FULL,
    "numbers": lambda: b"[" + b"1," * (FULL // 2) + b"1]",
    "escapes": lambda: b'"' + b'\\"' * (FULL // 2) + b'"',
    "an open string of escapes": lambda: b'"' + b'\\"' * (FULL // 2),
    "spaced hex": lambda: b"1 " * (FULL // 2),
    "spaced base64": lambda: b"z " * (FULL // 2),
}


@pytest.mark.parametrize("name", LARGE)
def test_sixteen_megabytes_of_next_to_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE[name]())
    status, _, took, memory = attest_command(path)
    assert status == 2
    assert took < 2, "under a second on an idle machine"
    assert memory < MEMORY_LIMIT


@pytest.mark.parametrize(
    "text",
    [
        b'{"vcekCert":"\\ud800","certificateChain":"x"}',
        b'{"quote":"AA==","note":"\\udfff"}',
        b'"\\"\\\\ud800\\""',
    ],
)
def test_text_that_is_not_unicode_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        recognise("file", text, Found())


def test_device_evidence_that_nothing_can_hash_is_malformed(simulator: Simulator) -> None:
    """RFC 8785 has no bytes for a lone surrogate, so a binding over it could only fail with an exception."""
    made = simulator.machine(cpu="tdx", gpus=1, nonce=bytes(range(32)))
    assert made.additional is not None
    text = made.additional.replace('"unknown"', '"\ud800"')
    assert text != made.additional
    document = {"primary_evidence": write_primary("tdx", made.raw), "additional_evidence": text}
    with pytest.raises(Malformed):
        recognise("file", json.dumps(document).encode(), Found())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--at", "0001-01-01T00:00:00+14:00"],
        ["--at", "9999-12-31T23:59:59-14:00"],
        ["--at", "9999-12-31T23:59:59Z"],
        ["--at", "0001-01-01T00:00:00Z"],
        ["--nonce", "00" * 32, "--key", '{"kty":"EC","x":12345678901234567890}'],
        ["--nonce", "00" * 32, "--key", '{"kty":"EC","x":1e400}'],
        ["--nonce", "00" * 32, "--key", '{"kty":"EC","x":"\\ud800"}'],
    ],
)
def test_arguments_beyond_every_calendar_and_number_are_wrong_use(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = main(["verify", str(EVIDENCE / "snp-genoa" / "report.bin"), *arguments])
    except SystemExit as end:
        status = end.code
    capsys.readouterr()
    assert status == 2


def test_controls_in_signed_json_are_shown_escaped(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON forbids C0 controls in strings, but not U+009B, which starts an escape sequence too."""
    honest = simulator.tdx().files["simulated-tcb-info.json"]
    path = tmp_path / "tcb.json"
    path.write_bytes(honest.replace(b'"TDX"', '"\u009b31mTDX\u202e"'.encode(), 1))
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "\\x9b31mTDX\\u202e" in shown
    assert not {"\u009b", "\u202e"} & set(shown)


def test_more_devices_than_a_machine_has(simulator: Simulator) -> None:
    raw = simulator.gpu().raw
    found = Found()
    for _ in range(16):
        recognise("file", raw, found)
    for one_more in (raw, write_bundle([("devices", raw)])):
        with pytest.raises(Malformed) as refusal:
            recognise("file", one_more, found)
        assert refusal.value.codes == {"evidence.too-large"}


def test_more_cpu_evidence_and_event_logs_than_anybody_compares(simulator: Simulator) -> None:
    """Each is compared with all before it: thousands, in bundles within a bundle, took the square of that."""
    log = simulator.tdx(event_log=True).files["simulated-ccel.bin"].rstrip(b"\xff")
    many: list[tuple[Kind, bytes]] = [("snp-report", simulator.snp().raw), ("ccel", log)]
    for kind, datum in many:
        changed = [datum[:-1] + bytes([number]) for number in range(17)]
        inner = [write_bundle([(kind, one)]) for one in changed]
        found = Found()
        recognise("file", write_bundle([(kind, one) for one in inner[:16]]), found)
        with pytest.raises(Malformed) as refusal:
            recognise("file", write_bundle([(kind, inner[16])]), found)
        assert refusal.value.codes == {"evidence.too-large"}


def test_a_services_folder_may_hold_more_than_a_machine_needs() -> None:
    der = (EVIDENCE / "snp-genoa" / "vcek.der").read_bytes()
    for bounded in (True, False):
        found = Found(bounded=bounded)
        found.certificates += [Certificate(der)] * 512
        if bounded:
            with pytest.raises(Malformed):
                recognise("file", der, found)
        else:
            recognise("file", der, found)


def test_many_leaves_and_issuers_of_one_name_cost_no_square(simulator: Simulator, anchors: Anchors) -> None:
    plan = simulator.plan_snp()
    made = plan.build()
    leaf, issuer = made.certificates[:2]

    def altered(der: bytes) -> tuple[Certificate, ...]:
        return tuple(Certificate(der[:-2] + index.to_bytes(2, "big")) for index in range(250))

    certificates = altered(leaf) + altered(issuer) + made.endorsements.certificates
    started = time.process_time()
    with pytest.raises(Rejected):
        verify(made.evidence, endorsements=Endorsements(certificates), at=made.at, anchors=anchors)
    # 250 × 250 RSA operations would take ten seconds.
    assert time.process_time() - started < 3


def test_a_part_that_is_refused_without_a_word_does_not_disappear(
    simulator: Simulator, anchors: Anchors
) -> None:
    class Silent:
        section = "snp"
        bound = b""

        def verify_with(self, **given: object) -> None:
            return None

    gpu = simulator.gpu()
    for evidence in (
        Evidence(Silent(), gpu.evidence.devices),
        Evidence(None, (*gpu.evidence.devices, Silent())),
    ):
        with pytest.raises(Rejected) as refusal:
            verify(evidence, endorsements=gpu.endorsements, at=gpu.at, anchors=anchors)
        assert refusal.value.codes == {"evidence.missing"}
