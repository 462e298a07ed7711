"""What evidence needs is asked for, at fixed hosts under built paths, and is enough to verify it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from attest import verify
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence
from attest.simulator import Simulator
from attest.simulator.certificates import crl_point, ocsp_access
from attest.simulator.simulated import Simulated
from attest.snp.report import Report
from attest.sources import intel_pcs, nvidia_ocsp
from attest.sources.coverage import speaks_of
from attest.sources.failure import FetchFailed
from attest.sources.fetch_for import Fetched, again, fetch_for
from attest.tdx.quote import Quote
from attest.verified import Verified
from attest.x509 import Certificate, parse_certificates
from tests.conftest import NOON
from tests.sources.conftest import Site
from tests.sources.vendors import Fault, Vendors, running

VCEK = "/vcek/v1/Genoa/1135"


def fetch(site: Site, evidence: Evidence, have: Endorsements | None = None, **keywords: object) -> Fetched:
    return fetch_for(evidence, site.sources(**keywords), have=have)


def judged(site: Site, evidence: Evidence, endorsements: Endorsements) -> Verified:
    return verify(evidence, endorsements=endorsements, at=site.clock.at, anchors=site.anchors)


def codes(fetched: Fetched) -> set[str]:
    return {problem.code for problem in fetched.problems}


# -- AMD -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["milan", "genoa", "bergamo", "turin"])
def test_an_snp_report_alone_becomes_verifiable(site: Site, simulator: Simulator, product: str) -> None:
    made = site.serve(simulator.snp(product=product))
    fetched = fetch(site, made.evidence)
    assert fetched.problems == ()
    assert all(item.authentic for item in fetched.items)
    verified = judged(site, made.evidence, fetched.endorsements)
    assert verified.claims["snp"]["crl"] == "fresh"


def test_the_url_of_a_vcek_is_made_of_chip_and_reported_tcb(site: Site, simulator: Simulator) -> None:
    """Of REPORTED_TCB, component by component; Turin has an fmc and a short id."""
    site.serve(simulator.snp(reported_tcb={"snp": 23}))
    fetch(site, simulator.snp(reported_tcb={"snp": 23}).evidence)
    (path,) = site.vendors.asked(VCEK)
    assert path.endswith("?blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84")
    assert len(path.partition("?")[0].rpartition("/")[2]) == 128
    turin = site.serve(simulator.snp(product="turin"))
    fetch(site, turin.evidence)
    (path,) = [path for path in site.vendors.asked("/vcek/v1/Turin/") if "SPL" in path]
    assert path.endswith("?fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=75")
    assert len(path.partition("?")[0].rpartition("/")[2]) == 16


def test_version_2_tries_milan_and_then_genoa(site: Site, simulator: Simulator) -> None:
    made = site.serve(simulator.snp(product="genoa", version=2))
    fetched = fetch(site, made.evidence)
    assert fetched.problems == ()
    assert [path.split("/")[3] for path in site.vendors.asked("SPL")] == ["Milan", "Genoa"]
    assert site.vendors.asked("/vcek/v1/Genoa/crl")
    judged(site, made.evidence, fetched.endorsements)


def test_a_chip_seen_before_costs_no_request(site: Site, snp: Simulated) -> None:
    fetch(site, snp.evidence)
    asked = len(site.vendors.requests)
    slept = len(site.clock.slept)
    assert all(item.kept for item in fetch(site, snp.evidence).items)
    assert (len(site.vendors.requests), len(site.clock.slept)) == (asked, slept)


def test_amds_kds_is_asked_once_in_ten_seconds(
    site: Site, snp: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "attest.sources.hosts.AMD", site.vendors.base
    )  # the server of this test stands for it
    fetch(site, snp.evidence)
    assert len(site.vendors.requests) == 3
    assert site.clock.slept == pytest.approx([10, 10], abs=0.1)


def test_a_mirror_of_it_is_asked_at_once(site: Site, snp: Simulated) -> None:
    fetch(site, snp.evidence)
    assert len(site.vendors.requests) == 3
    assert site.clock.slept == []


def test_a_certificate_at_hand_is_not_asked_for_and_the_list_is(site: Site, snp: Simulated) -> None:
    """T-OMIT: whoever brought endorsements may have left the newest list out."""
    fetched = fetch(site, snp.evidence, have=snp.endorsements)
    assert site.vendors.asked("SPL") == []
    assert site.vendors.asked("/crl")
    assert fetched.endorsements.crls


def test_a_vcek_of_another_chip_is_not_what_was_asked(
    site: Site, snp: Simulated, simulator: Simulator
) -> None:
    (other,) = [
        c for c in simulator.snp(chip_number=1).endorsements.certificates if c.common_name == "SEV-VCEK"
    ]
    site.vendors.fail(VCEK, Fault("other-body", body=other.der))
    assert codes(fetch(site, snp.evidence)) == {"sources.content"}


def test_a_vcek_that_nobody_pinned_signed_is_named_by_verify_and_not_kept(site: Site, snp: Simulated) -> None:
    (leaf,) = [c for c in snp.endorsements.certificates if c.common_name == "SEV-VCEK"]
    forged = leaf.der[:-1] + bytes([leaf.der[-1] ^ 1])
    site.vendors.fail(VCEK, Fault("other-body", body=forged))
    fetched = fetch(site, snp.evidence)
    assert [item.authentic for item in fetched.items if "VCEK" in item.question.about] == [False]
    with pytest.raises(Rejected):
        judged(site, snp.evidence, fetched.endorsements)
    assert judged(site, snp.evidence, fetch(site, snp.evidence).endorsements)


def test_a_masked_chip_has_no_url(site: Site, simulator: Simulator) -> None:
    made = site.serve(simulator.snp(fault="snp-chip-id-masked"))
    assert codes(fetch(site, made.evidence)) == {"sources.unbuildable"}
    assert site.vendors.asked("SPL") == []


def test_a_vlek_is_not_given_out(site: Site, simulator: Simulator) -> None:
    made = site.serve(simulator.snp(signing_key="vlek"))
    assert codes(fetch(site, made.evidence)) == {"sources.unavailable"}
    leaves = tuple(c for c in made.endorsements.certificates if c.common_name == "SEV-VLEK")
    fetched = fetch(site, made.evidence, have=Endorsements(certificates=leaves))
    assert fetched.problems == ()
    assert judged(site, made.evidence, fetched.endorsements + Endorsements(certificates=leaves))


def test_intermediates_that_we_ship_are_not_asked_for(site: Site, genoa: Simulated) -> None:
    """Real evidence under the pinned roots: one request for the VCEK, one for the list."""
    site.anchors = replace(site.anchors, roots=site.anchors.roots[:6])
    site.vendors.serve(genoa.endorsements)
    fetched = fetch(site, genoa.evidence)
    assert [path.partition("?")[0].rpartition("/")[2][:4] for path in site.vendors.asked("/vcek")] == [
        genoa.evidence.cpu.chip_id.hex()[:4], "crl",  # type: ignore[union-attr] # a Report
    ]  # fmt: skip
    assert [item.authentic for item in fetched.items] == [True, True]


def test_a_stale_list_is_refused_by_the_policy_and_not_kept(site: Site, simulator: Simulator) -> None:
    plan = simulator.plan_snp()
    assert plan.crl is not None
    plan.crl.next_update = NOON - timedelta(days=1)
    made = site.serve(plan.build())
    fetched = fetch(site, made.evidence)
    assert judged(site, made.evidence, fetched.endorsements).claims["snp"]["crl"] == "stale"
    assert not next(i for i in fetch(site, made.evidence).items if i.endorsements.crls).kept


def test_the_azure_host_is_asked_only_where_the_caller_says_so(site: Site, snp: Simulated) -> None:
    fetch(site, snp.evidence)
    assert site.vendors.asked("THIM") == []
    site.folder = site.folder.with_name("other")
    fetched = fetch(site, snp.evidence, azure_host=True)
    (request,) = [headers for _, path, headers in site.vendors.requests if "THIM" in path]
    assert request["metadata"] == "true"
    assert fetched.problems == ()
    assert judged(site, snp.evidence, fetched.endorsements)


# -- Intel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pccs", [False, True])
@pytest.mark.parametrize("ca", ["platform", "processor"])
def test_a_tdx_quote_alone_becomes_verifiable(site: Site, simulator: Simulator, ca: str, pccs: bool) -> None:
    """From Intel's service, and from a PCCS that hands its lists out as hex."""
    site.vendors.pccs = pccs
    made = site.serve(simulator.tdx(ca=ca))
    fetched = fetch(site, made.evidence)
    assert fetched.problems == ()
    assert judged(site, made.evidence, fetched.endorsements).claims["tdx"]["crl"] == "fresh"
    assert bool(site.vendors.asked("rootcacrl")) == pccs


@pytest.mark.parametrize("pccs", [False, True])
def test_the_issuer_chain_of_a_header_is_read(site: Site, tdx: Simulated, pccs: bool) -> None:
    """Percent-encoded PEM, whose `+` is base64 and no space: what it brings makes the answer authentic alone."""
    site.vendors.pccs = pccs
    for question in (
        intel_pcs.pck_crl(site.vendors.hosts, "platform"),
        intel_pcs.tcb_info(site.vendors.hosts, bytes.fromhex("00806f050000")),
        intel_pcs.qe_identity(site.vendors.hosts),
    ):
        item = site.sources().ask(question)
        assert item.authentic
        assert item.endorsements.certificates
        assert site.sources().ask(question).endorsements.certificates == item.endorsements.certificates


def test_which_set_was_asked_for_is_said(site: Site, tdx: Simulated) -> None:
    standard, early = fetch(site, tdx.evidence), fetch(site, tdx.evidence, early=True)
    for fetched, word in ((standard, "standard"), (early, "early")):
        told = [item.question.about for item in fetched.items if item.endorsements.documents]
        assert len(told) == 2
        assert all(about.endswith(word) for about in told)
    assert len(site.vendors.asked("update=early")) == 2


def test_t_memory_only_the_standard_set_that_we_fetched_sets_the_minimum(site: Site, tdx: Simulated) -> None:
    """T-MEMORY: an early set carries a higher number and would refuse everybody else's."""
    assert fetch(site, tdx.evidence).own_evaluation(site.anchors, NOON) == 21
    assert fetch(site, tdx.evidence, early=True).own_evaluation(site.anchors, NOON) is None
    assert fetch(site, tdx.evidence).own_evaluation(site.anchors, NOON + timedelta(days=90)) is None
    production = site.anchors.production()
    assert fetch(site, tdx.evidence).own_evaluation(production, NOON) is None


def test_a_set_of_two_numbers_counts_as_the_lower(site: Site, tdx: Simulated, simulator: Simulator) -> None:
    newer = simulator.tdx(tcb_evaluation=25).endorsements.documents
    site.vendors.serve(Endorsements(documents=tuple(d for d in newer if d.kind == "qe-identity")))
    assert fetch(site, tdx.evidence).own_evaluation(site.anchors, NOON) == 21


def test_collateral_of_another_family_is_not_what_was_asked(
    site: Site, tdx: Simulated, simulator: Simulator
) -> None:
    from tests.sources.vendors import pcs_body

    other = simulator.tdx(fmspc=bytes.fromhex("112233445566")).endorsements.documents
    (info,) = [document for document in other if document.kind == "tcb-info"]
    site.vendors.fail("/tdx/certification/v4/tcb", Fault("other-body", body=pcs_body(info)))
    assert codes(fetch(site, tdx.evidence)) == {"sources.content"}


def test_a_withdrawn_set_is_said_to_be_gone(site: Site, tdx: Simulated) -> None:
    site.vendors.fail("/tdx/certification/v4/tcb", Fault("status", 410))
    fetched = fetch(site, tdx.evidence)
    assert codes(fetched) == {"sources.gone"}
    with pytest.raises(Rejected) as refusal:
        judged(site, tdx.evidence, fetched.endorsements)
    assert refusal.value.codes == {"tdx.tcb-info.missing"}


def test_a_quote_without_a_chain_has_its_platform_asked_for(site: Site, tdx: Simulated) -> None:
    """Certification data of types 2 and 3: the encrypted platform id and its SVNs go into the question."""
    quote = tdx.evidence.cpu
    assert isinstance(quote, Quote)
    data = bytes(range(256)) + b"\x01" * 16 + b"\x0d\x00" + b"\x00\x00"
    bare = quote._replace(certification_data_type=2, certification_data=data)
    assert "sources.not-found" in codes(fetch(site, Evidence(bare)))
    (path,) = site.vendors.asked("pckcert")
    assert path.endswith(
        f"?encrypted_ppid={bytes(range(256)).hex()}&cpusvn={'01' * 16}&pcesvn=0d00&pceid=0000"
    )
    unknown = quote._replace(certification_data_type=4, certification_data=b"")
    assert "sources.unbuildable" in codes(fetch(site, Evidence(unknown)))


def test_of_several_chains_beside_a_quote_the_one_that_signed_it_names_the_platform(
    site: Site, tdx: Simulated
) -> None:
    elsewhere = Simulator.create(NOON).tdx(fmspc=bytes.fromhex("00a06d080000"))
    quote, other = tdx.evidence.cpu, elsewhere.evidence.cpu
    assert isinstance(quote, Quote)
    assert isinstance(other, Quote)
    own, foreign = (parse_certificates(one.certification_data, where="quote")[:2] for one in (quote, other))
    bare = quote._replace(certification_data_type=2, certification_data=bytes(404))
    for beside in ((*foreign, *own), (*own, *foreign)):
        fetch(site, Evidence(bare), have=Endorsements(beside))
    (path,) = set(site.vendors.asked("/tcb?"))
    assert "fmspc=00806f050000" in path.lower()


# -- NVIDIA --------------------------------------------------------------------------------------------


def test_a_gpu_alone_becomes_verifiable(site: Site, gpu: Simulated) -> None:
    fetched = fetch(site, gpu.evidence)
    assert fetched.problems == ()
    claims = judged(site, gpu.evidence, fetched.endorsements).claims["gpu"][0]
    assert (claims["measurements"], claims["cert"]) == ("match", "good")


def test_certificates_that_devices_share_are_asked_about_once(site: Site, simulator: Simulator) -> None:
    made = site.serve(simulator.gpus(3, bytes(range(32))))
    fetched = fetch(site, made.evidence)
    assert fetched.problems == ()
    asked = [path for method, path, _ in site.vendors.requests if method == "POST"]
    # Three devices of their own, provisioner and identity CA, and three signers of both manifests.
    assert len(asked) == 3 + 2 + 3
    assert len(site.vendors.asked("/v1/rim/")) == 2


def test_an_answer_with_another_nonce_is_somebody_elses(site: Site, simulator: Simulator) -> None:
    plan = simulator.plan_gpu()
    for answer in plan.answers.values():
        answer.nonce = bytes(32)
    from attest.simulator.device import list_of

    made = site.serve(list_of([plan.build()], NOON))
    fetched = fetch(site, made.evidence)
    assert codes(fetched) == {"sources.content"}
    assert fetched.endorsements.ocsp == ()


def test_an_answer_about_the_same_serial_of_another_issuer_is_not_what_was_asked(
    site: Site, simulator: Simulator
) -> None:
    """It would be kept as the answer, and end the asking until it ends."""
    made = site.serve(simulator.gpu())
    device = made.evidence.devices[0]
    assert isinstance(device, DeviceEvidence)
    assert device.chain is not None
    leaf, issuer, other = device.chain[1], device.chain[2], device.chain[3]
    answer = next(blob for blob in made.endorsements.ocsp if speaks_of(blob, {leaf.serial}))
    hosts = site.vendors.hosts
    assert nvidia_ocsp.status(hosts, leaf, issuer).read(answer, b"").ocsp == (answer,)
    with pytest.raises(FetchFailed) as failure:
        nvidia_ocsp.status(hosts, leaf, other).read(answer, b"")
    assert failure.value.reason.code == "sources.content"


def test_forged_leaves_and_issuers_beside_a_report_cost_few_signatures(
    site: Site, snp: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    def forged(name: str, issuer: str, serial: int) -> Certificate:
        by, of = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (issuer, name))
        made = x509.CertificateBuilder(by, of, key.public_key(), serial, NOON, NOON).sign(
            key, hashes.SHA256()
        )
        return Certificate(made.public_bytes(Encoding.DER))

    count = 40
    pairs = [pair for n in range(count) for pair in (forged("SEV-VCEK", "A", n + 1), forged("A", "B", n + 1))]
    asked: list[Certificate] = []
    monkeypatch.setattr(Certificate, "issued_by", lambda one, issuer: asked.append(one))
    fetch(site, snp.evidence, Endorsements(certificates=tuple(pairs)))
    assert len([one for one in asked if one.common_name == "SEV-VCEK"]) <= 64


def test_a_question_about_a_forged_issuer_is_no_others(site: Site, gpu: Simulated) -> None:
    """Its refusal is kept, and must not stand for the answer that honest devices ask for."""
    device = gpu.evidence.devices[0]
    assert isinstance(device, DeviceEvidence)
    assert device.chain is not None
    genuine = device.chain[2]
    key = ec.generate_private_key(ec.SECP384R1())
    forged = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), genuine.public_key, 1, NOON, NOON)
        .sign(key, hashes.SHA384())
        .public_bytes(Encoding.DER)
    )
    hosts = site.vendors.hosts
    honest, hostile = (
        nvidia_ocsp.status(hosts, device.chain[1], issuer).key for issuer in (genuine, Certificate(forged))
    )
    assert honest != hostile
    assert honest == nvidia_ocsp.status(hosts, device.chain[1], genuine).key


def test_a_manifest_of_another_id_is_not_what_was_asked(site: Site, gpu: Simulated) -> None:
    (other,) = [name for name in site.vendors.rim_ids if "VBIOS" in name]
    status, _, body = site.vendors.answer("GET", f"/v1/rim/{other}", b"")
    assert status == 200
    site.vendors.fail("/v1/rim/NV_GPU_DRIVER", Fault("other-body", body=body))
    assert codes(fetch(site, gpu.evidence)) == {"sources.content"}


def test_a_device_without_a_manifest_has_unknown_measurements(site: Site, gpu: Simulated) -> None:
    site.vendors.rim_ids.clear()
    fetched = fetch(site, gpu.evidence)
    assert codes(fetched) == {"sources.not-found"}
    assert judged(site, gpu.evidence, fetched.endorsements).claims["gpu"][0]["measurements"] == "no-rim"


def test_kept_manifests_are_asked_for_anew_before_a_mismatch_counts(site: Site, gpu: Simulated) -> None:
    first = fetch(site, gpu.evidence)
    assert again(first, site.sources()) == Endorsements()
    second = fetch(site, gpu.evidence)
    before = len(site.vendors.asked("/v1/rim/"))
    assert len(again(second, site.sources()).rims) == 2
    assert len(site.vendors.asked("/v1/rim/")) == before + 2


def test_a_service_key_goes_to_nvidia_alone(site: Site, simulator: Simulator) -> None:
    made = site.serve(simulator.machine(nonce=bytes(range(32))))
    fetch(site, made.evidence, service_key="secret")
    for _, path, headers in site.vendors.requests:
        nvidia = path == "/" or path.startswith("/v1/rim/")
        assert headers.get("authorization") == ("Bearer secret" if nvidia else None)
    assert not any(b"secret" in file.read_bytes() for file in (site.folder / "answers").iterdir())


@pytest.mark.parametrize("kind", ["switch", "fabric"])
def test_switches_and_whole_fabrics_are_asked_for(site: Site, simulator: Simulator, kind: str) -> None:
    made = site.serve(getattr(simulator, kind)())
    fetched = fetch(site, made.evidence)
    assert fetched.problems == ()
    claims = judged(site, made.evidence, fetched.endorsements).claims
    assert {device["cert"] for device in claims["switch"]} == {"good"}
    assert {device["measurements"] for device in claims["switch"]} == {"match"}


def test_an_azure_machines_hardware_report_is_asked_for(site: Site, simulator: Simulator) -> None:
    made = site.serve(simulator.azure())
    fetched = fetch(site, made.evidence, have=Endorsements(certificates=made.endorsements.certificates))
    assert site.vendors.asked("/crl")
    assert fetched.problems == ()


# -- T-SSRF --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu"])
def test_t_ssrf_a_url_in_evidence_or_endorsements_is_never_asked(
    site: Site, simulator: Simulator, kind: str
) -> None:
    """T-SSRF: AIA and CRL distribution points of every certificate lead to a trap that nobody steps into."""
    with running(Vendors()) as trap:
        plan = getattr(simulator, f"plan_{kind}")()
        if kind == "snp":
            plans = [plan.leaf, plan.intermediate]
        elif kind == "tdx":
            plans = [plan.pck, plan.ca, plan.tcb_signer]
        else:
            plans = plan.chain
        for certificate in plans:
            certificate.put(crl_point(f"{trap.base}/crl"))
            certificate.put(ocsp_access(f"{trap.base}/ocsp"))
        if kind == "gpu":
            from attest.simulator.device import list_of

            made = list_of([plan.build()], NOON)
        else:
            made = plan.build()
        urls = [c for c in made.certificates if trap.base.encode() in c] or [made.raw]
        assert trap.base.encode() in urls[0] or kind == "tdx"
        site.serve(made)
        fetched = fetch(
            site, made.evidence, have=Endorsements(certificates=tuple(map(Certificate, made.certificates)))
        )
        assert fetched.items
        assert trap.requests == []


@pytest.mark.parametrize(
    "version", ["../../../admin", "550%2e", "550/90", "550?x=1", "550#", "550 90", "550\\90", "..", "550.90.07\x01"]
)  # fmt: skip
def test_a_version_that_would_leave_its_place_in_the_path_is_not_asked_for(
    site: Site, gpu: Simulated, version: str
) -> None:
    """T-SSRF: a manifest's id is made of fields that the device's holder may have written."""
    (device,) = gpu.evidence.devices
    report = device.report  # type: ignore[attr-defined] # DeviceEvidence
    opaque = tuple((kind, version.encode() + b"\0" if kind == 3 else value) for kind, value in report.opaque)
    hostile = replace(device, report=report._replace(opaque=opaque))  # type: ignore[type-var]
    fetched = fetch(site, Evidence(devices=(hostile,)))
    assert "sources.unbuildable" in codes(fetched)
    assert not any("DRIVER" in path for path in site.vendors.asked())
    assert all(path == "/" or path.startswith("/v1/rim/NV_GPU_VBIOS_") for path in site.vendors.asked())


def test_whatever_a_report_says_stays_in_its_place(site: Site, snp: Simulated) -> None:
    report = snp.evidence.cpu
    assert isinstance(report, Report)
    for chip in (b"../" * 21 + b"?", bytes(range(64)), b"\xff" * 64):
        fetch(site, Evidence(report._replace(chip_id=chip)))
    for path in site.vendors.asked("SPL"):
        name, _, query = path.partition("?")
        assert name.startswith("/vcek/v1/Genoa/")
        assert set(name.rpartition("/")[2]) <= set("0123456789abcdef")
        assert query.count("&") == 3


# -- failures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda s: s.snp(), "/vcek/v1/Genoa/crl"),
        (lambda s: s.tdx(), "/sgx/certification/v4/pckcrl"),
        (lambda s: s.gpu(), "/v1/rim/NV_GPU_VBIOS"),
    ],
)
def test_what_fails_leaves_a_problem_and_the_rest_goes_on(
    site: Site, simulator: Simulator, make: Callable[[Simulator], Simulated], path: str
) -> None:
    made = site.serve(make(simulator))
    whole = len(fetch(site, made.evidence).items)
    site.folder = site.folder.with_name("other")
    site.vendors.fail(path, *[Fault("status", 500)] * 4)
    fetched = fetch(site, made.evidence)
    assert codes(fetched) == {"sources.status"}
    assert whole - 1 <= len(fetched.items) + 1 <= whole


def test_garbage_in_place_of_anything_is_a_problem_and_no_more(site: Site, simulator: Simulator) -> None:
    for garbage in (b"", b"\x30\x80\x00\x00", b"{}", b'{"tcbInfo":{},"signature":"00"}', b"\xff" * 5000):
        for made in (simulator.snp(), simulator.tdx(), simulator.gpu()):
            site.serve(made)
            site.vendors.faults = {"/": [Fault("other-body", body=garbage)] * 40}
            site.folder = site.folder.with_name(f"{garbage[:4].hex()}-{made.raw[:4].hex()}")
            fetched = fetch(site, made.evidence)
            assert fetched.items == ()
            assert codes(fetched) <= {"sources.content", "sources.unbuildable"}
            assert fetched.problems


def test_the_certificates_extension_is_real() -> None:
    """The trap above would show in a certificate that has it."""
    assert x509.oid.ExtensionOID.CRL_DISTRIBUTION_POINTS.dotted_string == crl_point("http://x").oid
