"""Simulated switches, Blackwell GPUs and OCSP answers have the shape of NVIDIA's own."""

from __future__ import annotations

import base64

from attest.canonical import read_json
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.containers import read_json as read_devices
from attest.nvidia.ocsp_answer import Answer
from attest.nvidia.rim import Rim
from attest.simulator import Simulator
from attest.x509 import Certificate, parse_certificates
from tests.conftest import Vectors
from tests.simulator.test_shapes import shape

SWITCH = "switch-ls10-rim-match-sdk"
BLACKWELL = "gpu-blackwell-signature-only-sdk"


def one(evidence: tuple[DeviceEvidence, ...] | None) -> DeviceEvidence:
    assert evidence is not None
    return evidence[0]


def test_switch(simulator: Simulator, vectors: Vectors) -> None:
    real = one(read_devices(read_json(vectors.read(SWITCH, "evidence_json"), where="real"), "real"))
    made = simulator.switch()
    ours = one(read_devices(read_json(made.files["simulated-gpu-evidence.json"], where="ours"), "ours"))
    assert [(kind, len(value)) for kind, value in ours.report.opaque] == [
        (kind, len(value)) for kind, value in real.report.opaque
    ]
    assert list(ours.report.measurements) == list(real.report.measurements)
    assert [not any(value) for value in ours.report.measurements.values()] == [
        not any(value) for value in real.report.measurements.values()
    ]
    assert ours.chain is not None
    assert real.chain is not None
    assert [*map(shape, ours.chain)] == [*map(shape, real.chain)]
    (role,) = (role for role in vectors.cases[SWITCH]["files"] if role.endswith("rim"))
    (rim,) = (Rim.parse(data) for name, data in made.files.items() if name.endswith(".xml"))
    assert rim.stated == Rim.parse(vectors.read(SWITCH, role)).stated


def test_blackwell(simulator: Simulator, vectors: Vectors) -> None:
    real = DeviceEvidence.parse(vectors.read(BLACKWELL, "report")).report
    chain = parse_certificates(vectors.read(BLACKWELL, "cert_chain"), where="chain")
    ours = one(simulator.gpu(architecture="blackwell").evidence.devices)  # type: ignore[arg-type]
    assert ours.chain is not None
    assert [*map(shape, ours.chain)] == [*map(shape, chain)]
    # An older driver's report has neither chip nor flag nor protected PCIe; the rest is alike.
    lengths = {kind: len(value) for kind, value in ours.report.opaque}
    theirs = {kind: len(value) for kind, value in real.opaque}
    assert set(lengths) - set(theirs) == {21, 35, 36}
    assert {kind for kind, length in theirs.items() if lengths[kind] != length} == {3}  # driver version


def test_ocsp_answers(simulator: Simulator, vectors: Vectors) -> None:
    files = simulator.gpu().files
    pairs = {
        "simulated-ocsp-gh100-brom-0.der": "ocsp-gpu-certificate-l4",
        "simulated-ocsp-gh100-provisioner.der": "ocsp-gpu-certificate-l3",
        "simulated-ocsp-rim-l4.der": "ocsp-gpu-driver-rim-l4",
        "simulated-ocsp-rim-l3.der": "ocsp-gpu-driver-rim-l3",
    }
    for file, case in pairs.items():
        ours = Answer.parse(files[file])
        real = Answer.parse(base64.b64decode(vectors.read(case, "ocsp_response_base64")))
        assert ours.responder is not None
        assert real.responder is not None
        assert extensions(ours.responder) == extensions(real.responder)
        assert ours.signature_algorithm == real.signature_algorithm
        for name in ("responder_name", "nonce"):
            assert getattr(ours, name) == getattr(real, name)
        assert (ours.singles[0].hash_name, ours.singles[0].said) == (
            real.singles[0].hash_name,
            real.singles[0].said,
        )


def extensions(certificate: Certificate) -> list[tuple[str, bool]]:
    return sorted((one.oid.dotted_string, one.critical) for one in certificate.extensions or ())
