"""Simulated evidence has the shape of the vendors' own: names, algorithms, extensions, fields, members."""

from __future__ import annotations

import base64
import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from attest.anchors import ROLES
from attest.simulator import Simulator
from attest.tdx.quote import Quote
from attest.x509 import SIMULATOR_EXTENSION, Certificate, Crl, parse_certificates
from tests.conftest import Vectors

CHANGING = re.compile(r"(?<=CN=)NVIDIA Reference Value L3 GH100 \d+|[0-9A-F]{18,40}")


def shape(certificate: Certificate) -> dict[str, object]:
    """Everything but keys, dates, serial numbers and values of extensions."""
    key = certificate.public_key
    assert certificate.extensions is not None
    subject = CHANGING.sub("…", certificate.parsed.subject.rfc4514_string().replace("SIMULATED ", ""))
    return {
        "subject": subject,
        "issuer": CHANGING.sub("…", certificate.parsed.issuer.rfc4514_string().replace("SIMULATED ", "")),
        "key": key.key_size if isinstance(key, rsa.RSAPublicKey) else key.curve.name,
        "signature": certificate.parsed.signature_algorithm_oid.dotted_string,
        "hash": certificate.hash_name,
        "extensions": sorted(
            (extension.oid.dotted_string, extension.critical)
            for extension in certificate.extensions
            if extension.oid != SIMULATOR_EXTENSION
        ),
    }


def certificate(data: bytes) -> Certificate:
    (only,) = parse_certificates(data, where="test")
    return only


@pytest.mark.parametrize(
    ("product", "signing_key", "file"),
    [
        ("milan", "vcek", "snp/snp-milan-v2-vcek-trustee/test-vcek.der"),
        ("genoa", "vcek", "snp/snp-genoa-v5-vcek-oak/vcek.der"),
        ("turin", "vcek", "snp/snp-turin-vcek-cert-only-virtee/vcek_turin.der"),
        ("milan", "vlek", "snp/snp-milan-v3-vlek-aws-trustee/test-vlek.der"),
    ],
)
def test_amd_leaves(
    simulator: Simulator, vectors: Vectors, product: str, signing_key: str, file: str
) -> None:
    made = simulator.snp(product=product, signing_key=signing_key).files[f"simulated-{signing_key}.der"]
    assert shape(certificate(made)) == shape(certificate(vectors.path(file).read_bytes()))


@pytest.mark.parametrize("product", ["milan", "genoa", "turin"])
@pytest.mark.parametrize(("kind", "name"), [("vcek", "ask"), ("vlek", "asvk")])
def test_amd_authorities(simulator: Simulator, vectors: Vectors, product: str, kind: str, name: str) -> None:
    chain = simulator.snp(product=product, signing_key=kind).files["simulated-cert-chain.pem"]
    intermediate, root = parse_certificates(chain, where="chain")
    real = certificate(vectors.path(f"roots/amd_{product}_{name}.pem").read_bytes())
    real_root = certificate(vectors.path(f"roots/amd_{product}_ark.pem").read_bytes())
    assert shape(intermediate) == shape(real)
    assert shape(root) == shape(real_root)


def test_amd_crl(simulator: Simulator, vectors: Vectors) -> None:
    ours = Crl(simulator.snp(product="genoa").files["simulated-ark.crl"]).parsed
    real = Crl(vectors.path("roots/amd_genoa.crl").read_bytes()).parsed
    assert [e.oid for e in ours.extensions] == [e.oid for e in real.extensions]
    assert ours.signature_algorithm_oid == real.signature_algorithm_oid


@pytest.mark.parametrize(
    ("case", "version", "ca"),
    [("tdx-v5-uptodate-go-tdx-guest", 5, "platform"), ("tdx-v4-uptodate-phala", 4, "platform")],
)
def test_intel_quote_and_chain(
    simulator: Simulator, vectors: Vectors, case: str, version: int, ca: str
) -> None:
    real = Quote.parse(vectors.read(case, "quote"))
    ours = Quote.parse(simulator.tdx(version=version, ca=ca).raw)
    for name in ("version", "attestation_key_type", "tee_type", "qe_vendor_id", "body_type"):
        assert getattr(ours, name) == getattr(real, name)
    assert ours.qe_auth_data == real.qe_auth_data
    assert ours.qe_report.mr_signer == real.qe_report.mr_signer
    chains = [parse_certificates(quote.certification_data, where="quote") for quote in (ours, real)]
    assert [*map(shape, chains[0])] == [*map(shape, chains[1])]


def test_intel_collateral(simulator: Simulator, vectors: Vectors) -> None:
    real = json.loads(vectors.path("tdx/collateral/00806f-2026-01-eval18.json").read_text())
    files = simulator.tdx().files
    for name, member, role in (
        ("tcb-info", "tcbInfo", "tcb_info"),
        ("qe-identity", "enclaveIdentity", "qe_identity"),
    ):
        ours = json.loads(files[f"simulated-{name}.json"])[member]
        genuine = json.loads(real[role])
        assert list(ours) == list(genuine)
        assert set(ours["tcbLevels"][0]) <= set(genuine["tcbLevels"][0]) | {"advisoryIDs"}
        assert type(ours["tcbLevels"][0]["tcb"]) is type(genuine["tcbLevels"][0]["tcb"])
    for name, role in (("root-ca", "root_ca_crl"), ("pck", "pck_crl")):
        ours_crl = Crl(files[f"simulated-{name}.crl"]).parsed
        real_crl = Crl(bytes.fromhex(real[role])).parsed
        assert {e.oid for e in ours_crl.extensions} == {e.oid for e in real_crl.extensions}
        assert ours_crl.signature_algorithm_oid == real_crl.signature_algorithm_oid
    signers = [
        parse_certificates(text, where="chain")
        for text in (files["simulated-tcb-signing-chain.pem"], real["tcb_info_issuer_chain"].encode())
    ]
    assert [*map(shape, signers[0])] == [*map(shape, signers[1])]


FULL = "nvidia/gpu-hopper-full-rims-nvtrust"


def test_nvidia_report_and_chain(simulator: Simulator, vectors: Vectors) -> None:
    from attest.nvidia.spdm import Report

    real = Report.parse(
        bytes.fromhex(vectors.path(f"{FULL}/hopperAttestationReport.txt").read_text().strip())
    )
    (entry,) = json.loads(simulator.gpu().files["simulated-gpu-evidence.json"])
    ours = Report.parse(base64.b64decode(entry["evidence"]))
    assert len(ours.raw) == len(real.raw)
    assert [(kind, len(value)) for kind, value in ours.opaque] == [
        (kind, len(value)) for kind, value in real.opaque
    ]
    assert list(ours.measurements) == list(real.measurements)
    same = {3, 4, 6, 11, 13, 14, 15, 16, 17, 18, 19, 21}
    assert {k: v for k, v in ours.opaque if k in same} == {k: v for k, v in real.opaque if k in same}
    zero = [[not any(value) for value in report.measurements.values()] for report in (ours, real)]
    assert zero[0] == zero[1]
    chains = [
        parse_certificates(text, where="chain")
        for text in (
            base64.b64decode(entry["certificate"]),
            vectors.path(f"{FULL}/hopperCertChain.txt").read_bytes(),
        )
    ]
    assert [*map(shape, chains[0])] == [*map(shape, chains[1])]


@pytest.mark.parametrize(
    "name", ["NV_GPU_DRIVER_GH100_550.90.07.xml", "NV_GPU_VBIOS_1010_0200_882_96009F0001.xml"]
)
def test_nvidia_manifests(simulator: Simulator, vectors: Vectors, name: str) -> None:
    from attest.nvidia.rim import Rim

    texts = (simulator.gpu().files[f"simulated-{name}"], vectors.path(f"{FULL}/{name}").read_bytes())
    trees = [etree.fromstring(text) for text in texts]
    outlines = [
        [
            (
                element.tag,
                {k: v for k, v in element.attrib.items() if "Hash" not in k and k not in ("tagId", "name")},
                sorted(element.attrib),
            )
            for element in tree.iter()
        ]
        for tree in trees
    ]
    assert outlines[0] == outlines[1]
    chains = [Rim.parse(text).chain for text in texts]
    assert [*map(shape, chains[0])] == [*map(shape, chains[1])]


def test_roots_have_a_role_each(simulator: Simulator) -> None:
    assert len(parse_certificates(simulator.roots_pem, where="roots")) == len(ROLES)
