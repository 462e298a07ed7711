"""What a bundle answers in the vendors' words: the exact bytes, or a refusal that says why."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.nvidia.ocsp_request import build_request, device_pairs
from attest.nvidia.rim import Rim
from attest.simulator import Simulator
from attest.simulator.simulated import Simulated
from attest.sources.asked import Reply
from attest.sources.coverage import issuers_of, leaf_facts, manifest_ids
from attest.sources.shelf import Shelf
from attest.tdx.collateral import read_pcs
from attest.x509 import parse_certificates

OCSP = "application/ocsp-request"


@pytest.fixture(scope="module")
def machines(simulator: Simulator) -> dict[str, Simulated]:
    return {
        "genoa": simulator.snp(),
        "turin": simulator.snp(product="turin"),
        "vlek": simulator.snp(product="milan", signing_key="vlek"),
        "tdx": simulator.tdx(),
        "gpu": simulator.gpu(),
    }


@pytest.fixture(scope="module")
def shelf(machines: dict[str, Simulated], anchors: Anchors) -> Shelf:
    held, ids = Endorsements(), {}
    for made in machines.values():
        held += made.endorsements + Endorsements(issuers_of(made.evidence))
    rims = tuple(rim if isinstance(rim, Rim) else Rim.parse(rim) for rim in held.rims)
    held = Endorsements(held.certificates, held.crls, held.documents, rims, held.ocsp)
    by_version = manifest_ids(machines["gpu"].evidence.devices[0])
    ids = {rim.digest: by_version[str(rim.stated.version).upper()] for rim in rims}
    return Shelf(held, anchors=anchors, rim_ids=ids)


def get(shelf: Shelf, target: str) -> Reply:
    return shelf.answer("GET", target)


def vcek_target(made: Simulated, kind: str = "vcek") -> str:
    for certificate in made.endorsements.certificates:
        known = leaf_facts(certificate)
        if known is not None:
            product, facts = known
            names = {"bootloader": "bl", "microcode": "ucode"}
            tcb = "&".join(f"{names.get(n, n)}SPL={v:02}" for n, v in facts.tcb.components.items())
            where = facts.hwid.hex() if facts.hwid is not None else "cert"
            return f"/{kind}/v1/{product.title()}/{where}?{tcb}"
    raise AssertionError("no leaf")


# -- AMD ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("genoa", "vcek"), ("turin", "vcek"), ("vlek", "vlek")])
def test_a_leaf_comes_back_byte_for_byte(
    name: str, kind: str, shelf: Shelf, machines: dict[str, Simulated]
) -> None:
    made = machines[name]
    reply = get(shelf, vcek_target(made, kind))
    assert (reply.status, reply.content_type) == (200, "application/pkix-cert")
    assert reply.body in [certificate.der for certificate in made.endorsements.certificates]


def test_a_leaf_for_another_tcb_chip_or_product_is_not_there(
    shelf: Shelf, machines: dict[str, Simulated]
) -> None:
    good = vcek_target(machines["genoa"])
    path, _, query = good.partition("?")
    other_chip = path[:-2] + ("00" if path[-2:] != "00" else "01")
    for target in (
        f"{other_chip}?{query}",
        good.replace("Genoa", "Milan"),
        good.replace("/vcek/", "/vlek/"),
        f"{path[: len(path) - 112]}?{query}",
        f"/vcek/v1/Genoa/cert?{query}",
    ):
        assert get(shelf, target).status == 404, target
    turin = vcek_target(machines["turin"])
    assert get(shelf, turin.replace("?", "0" * 112 + "?")).status == 404
    assert get(shelf, turin.partition("fmcSPL")[0] + turin.partition("&")[2]).status == 400


@pytest.mark.parametrize("query", ["", "blSPL=1", "blSPL=x", "blSPL=256", "blSPL=-1", "blSPL=1&blSPL=1"])
def test_a_tcb_is_named_in_full(query: str, shelf: Shelf, machines: dict[str, Simulated]) -> None:
    path = vcek_target(machines["genoa"]).partition("?")[0]
    assert get(shelf, f"{path}?{query}" if query else path).status == 400


def test_chain_and_list_of_a_product(shelf: Shelf, machines: dict[str, Simulated]) -> None:
    for kind, product, name in (("vcek", "Genoa", "genoa"), ("vlek", "Milan", "vlek")):
        chain = parse_certificates(get(shelf, f"/{kind}/v1/{product}/cert_chain").body, where="chain")
        assert chain[1].common_name == f"ARK-{product}"
        assert chain[0].issued_by(chain[1])
        leaf = next(c for c in machines[name].endorsements.certificates if leaf_facts(c))
        assert leaf.issued_by(chain[0])
        (crl,) = machines[name].endorsements.crls
        assert get(shelf, f"/{kind}/v1/{product}/crl").body == crl.der


# -- Intel ----------------------------------------------------------------------------------------------------


def header(reply: Reply, name: str) -> bytes:
    (value,) = [text for key, text in reply.headers if key == name]
    assert value.isascii()
    assert "\n" not in value
    return unquote(value).encode()


def test_collateral_comes_as_the_octets_intel_signed(shelf: Shelf, machines: dict[str, Simulated]) -> None:
    documents = {d.kind: d for d in machines["tdx"].endorsements.documents}
    fmspc = json.loads(documents["tcb-info"].body)["fmspc"]
    for target, name, kind in (
        (f"/tdx/certification/v4/tcb?fmspc={fmspc}", "TCB-Info-Issuer-Chain", "tcb-info"),
        (f"/tdx/certification/v4/tcb?fmspc={fmspc}&update=early", "TCB-Info-Issuer-Chain", "tcb-info"),
        ("/tdx/certification/v4/qe/identity", "SGX-Enclave-Identity-Issuer-Chain", "qe-identity"),
    ):
        reply = get(shelf, target)
        chain = parse_certificates(header(reply, name), where="chain")
        assert [str(c.common_name) for c in chain] == ["Intel SGX TCB Signing", "Intel SGX Root CA"]
        read = read_pcs(reply.body, chain)
        assert (read.kind, read.body, read.signature) == (
            kind,
            documents[kind].body,
            documents[kind].signature,
        )


def test_intels_lists_in_the_encodings_clients_ask_for(shelf: Shelf, machines: dict[str, Simulated]) -> None:
    ders = {crl.parsed.issuer.rfc4514_string(): crl.der for crl in machines["tdx"].endorsements.crls}
    root = next(der for name, der in ders.items() if "Root CA" in name)
    platform = next(der for name, der in ders.items() if "Platform CA" in name)
    base = "/sgx/certification/v4/pckcrl?ca=platform"
    assert get(shelf, f"{base}&encoding=der").body == platform
    assert get(shelf, base).body == platform.hex().encode()
    pem = x509.load_pem_x509_crl(get(shelf, f"{base}&encoding=pem").body)
    assert pem.public_bytes(Encoding.DER) == platform
    chain = parse_certificates(header(get(shelf, base), "SGX-PCK-CRL-Issuer-Chain"), where="chain")
    assert [str(c.common_name) for c in chain] == ["Intel SGX PCK Platform CA", "Intel SGX Root CA"]
    assert get(shelf, "/sgx/certification/v4/rootcacrl").body == root.hex().encode()
    assert get(shelf, "/IntelSGXRootCA.der").body == root


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/tdx/certification/v4/tcb", 400),
        ("/tdx/certification/v4/tcb?fmspc=00", 400),
        ("/tdx/certification/v4/tcb?fmspc=000000000000", 404),
        ("/tdx/certification/v4/qe/identity?tcbEvaluationDataNumber=1", 404),
        ("/tdx/certification/v4/qe/identity?tcbEvaluationDataNumber=21&update=early", 400),
        ("/tdx/certification/v4/qe/identity?update=never", 400),
        ("/sgx/certification/v4/pckcrl", 400),
        ("/sgx/certification/v4/pckcrl?ca=root", 400),
        ("/sgx/certification/v4/pckcrl?ca=processor", 404),
        ("/sgx/certification/v4/pckcrl?ca=platform&encoding=xml", 400),
        ("/sgx/certification/v4/tcb?fmspc=000000000000", 404),
        ("/tdx/certification/v5/qe/identity", 404),
    ],
)
def test_what_intels_service_would_not_answer_is_not_answered(target: str, status: int, shelf: Shelf) -> None:
    assert get(shelf, target).status == status


def test_the_highest_evaluation_number_is_handed_out_and_any_by_name(
    simulator: Simulator, anchors: Anchors
) -> None:
    documents = simulator.tdx().endorsements.documents
    plan = simulator.plan_tdx()
    plan.qe_identity["tcbEvaluationDataNumber"] = 20
    older = plan.build().endorsements.documents
    shelf = Shelf(Endorsements(documents=(*older, *documents)), anchors=anchors, rim_ids={})
    target = "/tdx/certification/v4/qe/identity"

    def number(query: str = "") -> int:
        found: int = json.loads(get(shelf, target + query).body)["enclaveIdentity"]["tcbEvaluationDataNumber"]
        return found

    assert number() > number("?tcbEvaluationDataNumber=20") == 20


# -- NVIDIA ---------------------------------------------------------------------------------------------------


def test_a_manifest_comes_under_its_id(shelf: Shelf, machines: dict[str, Simulated]) -> None:
    ids = json.loads(get(shelf, "/v1/rim/ids").body)["ids"]
    assert len(ids) == 2
    for identifier in ids:
        document = json.loads(get(shelf, f"/v1/rim/{identifier}").body)
        rim = base64.b64decode(document["rim"])
        assert rim == machines["gpu"].files[f"simulated-{identifier}.xml"]
        assert document["id"] == identifier
        assert document["sha256"] == hashlib.sha256(rim).hexdigest()
        assert document["rim_format"] == "TCG"
    assert get(shelf, "/v1/rim/NV_GPU_DRIVER_GH100_1.2.3").status == 404
    assert get(shelf, "/v1/rim/../../etc/passwd").status == 400


def test_a_manifest_without_an_id_is_counted_and_not_served(
    machines: dict[str, Simulated], anchors: Anchors
) -> None:
    rims = tuple(Rim.parse(bytes(rim)) for rim in machines["gpu"].endorsements.rims if isinstance(rim, bytes))
    shelf = Shelf(Endorsements(rims=rims), anchors=anchors, rim_ids={})
    assert shelf.without_id == len(rims) == 2
    assert json.loads(get(shelf, "/v1/rim/ids").body) == {"ids": []}


def test_a_stored_answer_is_found_by_its_certid(shelf: Shelf, machines: dict[str, Simulated]) -> None:
    gpu = machines["gpu"]
    chain = gpu.evidence.devices[0].chain  # type: ignore[attr-defined]
    for certificate, issuer in device_pairs(chain):
        for nonce in (None, bytes(32)):
            reply = shelf.answer("POST", "/", OCSP, build_request(certificate, issuer, nonce))
            assert (reply.status, reply.content_type) == (200, "application/ocsp-response")
            assert reply.body in gpu.endorsements.ocsp
            assert ocsp.load_der_ocsp_response(reply.body).serial_number == certificate.serial


def test_a_certificate_nobody_answered_for_is_unauthorized(
    shelf: Shelf, machines: dict[str, Simulated]
) -> None:
    chain = machines["gpu"].evidence.devices[0].chain  # type: ignore[attr-defined]
    wrong_hash = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(chain[1].parsed, chain[2].parsed, hashes.SHA1())
        .build()
        .public_bytes(Encoding.DER)
    )
    for body in (build_request(chain[0], chain[1]), wrong_hash):
        reply = shelf.answer("POST", "/", OCSP, body)
        status = ocsp.load_der_ocsp_response(reply.body).response_status
        assert (reply.status, status) == (200, ocsp.OCSPResponseStatus.UNAUTHORIZED)


def test_a_body_that_is_no_request_is_refused(shelf: Shelf) -> None:
    for body in (b"", b"0", bytes(64), b"\x30\x80"):
        assert shelf.answer("POST", "/", OCSP, body).status == 400
    assert shelf.answer("POST", "/", "text/plain", b"").status == 415
    assert shelf.answer("POST", "/v1/rim/ids", OCSP, b"").status == 405


# -- how questions are read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "vcek",
        "//vcek/v1/Genoa/crl",
        "/vcek/v1/Genoa/crl/",
        "/vcek/./v1/Genoa/crl",
        "/../../etc/passwd",
        "/v1/rim/..",
        "/%2e%2e/etc/passwd",
        "/vcek/v1/Genoa/crl%00",
        "/vcek\\v1\\Genoa\\crl",
        "http://elsewhere/vcek/v1/Genoa/crl",
        "/vcek/v1/Genoa/crl?",
        "/vcek/v1/Genoa/crl?x",
        "/vcek/v1/Genoa/crl?x=1",
        "/vcek/v1/Genoa/crl#x",
        "/" + "a" * 3000,
        "/vcek/v1/Genoa/ｃrl",
    ],
)
def test_a_target_outside_the_grammar_is_400(target: str, shelf: Shelf) -> None:
    assert get(shelf, target).status == 400


def test_unknown_paths_are_404_in_one_shape(shelf: Shelf) -> None:
    for target in ("/nothing", "/vcek", "/vcek/v1/Rome/crl", "/vcek/v1/genoa/crl", "/vcek/v2/Genoa/crl"):
        reply = get(shelf, target)
        assert (reply.status, reply.content_type) == (404, "text/plain; charset=utf-8")
        assert reply.body == b"no such path here\n"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_it_is_only_read(method: str, shelf: Shelf) -> None:
    reply = shelf.answer(method, "/vcek/v1/Genoa/crl")
    assert reply.status == 405
    assert dict(reply.headers)["Allow"] == "GET, POST"


@given(target=st.text(max_size=60).map(lambda text: "/" + text), body=st.binary(max_size=80))
def test_any_question_gets_a_reply(target: str, body: bytes) -> None:
    empty = Shelf(Endorsements(), anchors=Anchors.production(), rim_ids={})
    assert get(empty, target).status in (200, 400, 404)
    assert empty.answer("POST", "/", OCSP, body).status in (200, 400)
