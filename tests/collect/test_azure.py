"""Azure: a real TPM 2 stack, a thread that plays the paravisor, a metadata service on this host."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from attest.collect.azure import AK, AK_CERTIFICATE, HCL_REPORT, PCRS, USER_DATA, collect_azure, is_azure
from attest.collect.errors import CollectError
from attest.collect.metadata import Metadata
from attest.collect.tpm2 import Tpm
from attest.simulator import Simulator
from attest.simulator.certificates import pem
from attest.simulator.paravisor import Paravisor
from tests.collect.conftest import (
    MetadataService,
    PlayedParavisor,
    SoftwareTpm,
    define_and_write,
    forget,
)

DIGEST = hashlib.sha384(b"what a broker's guest hashes").digest()
DATA = DIGEST + bytes(16)
THIM, TDQUOTE = "/metadata/THIM/amd/certification", "/acc/tdquote"


class Guest:
    """One Azure machine: its TPM as the collector sees it, and its host."""

    def __init__(self, kind: str, simulator: Simulator, swtpm: SoftwareTpm, host: MetadataService) -> None:
        make = simulator.plan_snp if kind == "snp" else simulator.plan_tdx
        self.paravisor = Paravisor(kind, make)
        self.played = PlayedParavisor(swtpm, lambda data: self.paravisor.report(data, swtpm.ak))
        self.tpm = Tpm(self.played, sleep=self.played.sleep)
        self.host = host
        host.gives("GET", THIM, lambda _: self._certificates())
        host.gives("POST", TDQUOTE, self._quote)

    def _certificates(self) -> dict[str, str]:
        leaf, *chain = self.paravisor.last.certificates
        return {
            "vcekCert": pem(leaf).decode(),
            "certificateChain": b"".join(map(pem, chain)).decode(),
            "tcbm": "00",
            "cacheControl": "86400",
        }

    def _quote(self, body: bytes) -> dict[str, str]:
        asked = json.loads(body)["report"]
        assert "=" not in asked
        report = base64.urlsafe_b64decode(asked + "==")
        assert len(report) == 1024
        return {"quote": base64.urlsafe_b64encode(self.paravisor.last.raw).rstrip(b"=").decode()}

    def collect(self, data: bytes = DATA) -> Any:
        return collect_azure(self.tpm, Metadata(self.host.url), data, sleep=self.played.sleep)


@pytest.fixture
def snp(simulator: Simulator, swtpm: SoftwareTpm, metadata_service: MetadataService) -> Iterator[Guest]:
    guest = Guest("snp", simulator, swtpm, metadata_service)
    yield guest
    for index in (USER_DATA, AK_CERTIFICATE):
        forget(guest.played.own, index)


def document(guest: Guest, data: bytes = DATA) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(guest.collect(data).document)
    return read


def test_evidence_of_version_2_as_guests_send_it(snp: Guest, swtpm: SoftwareTpm) -> None:
    evidence = document(snp)
    assert set(evidence) == {"version", "tpm_quote", "hcl_report", "vcek"}
    assert evidence["version"] == 2
    quote = evidence["tpm_quote"]
    message = bytes.fromhex(quote["message"])
    swtpm.ak.verify(bytes.fromhex(quote["signature"]), message, padding.PKCS1v15(), SHA256())
    assert DIGEST in message
    values = b"".join(map(bytes.fromhex, quote["pcrs"]))
    assert len(values) == 24 * 32
    assert message.endswith(hashlib.sha256(values).digest())
    assert quote["pcrs"][0] != quote["pcrs"][8] != "00" * 32
    assert len(evidence["hcl_report"]) % 4 == 0, "padded, as the field writes it"
    assert base64.urlsafe_b64decode(evidence["vcek"]) == snp.paravisor.last.certificates[0]


def test_the_report_carries_our_user_data_before_it_is_used(snp: Guest) -> None:
    hcl = base64.urlsafe_b64decode(document(snp)["hcl_report"])
    assert DIGEST.hex().upper().encode() + b"0" * 32 in hcl


def test_certificates_come_with_it_the_chips_first(snp: Guest) -> None:
    assert snp.collect().certificates == snp.paravisor.last.certificates


def test_a_td_gets_its_quote_from_the_host(
    simulator: Simulator, swtpm: SoftwareTpm, metadata_service: MetadataService
) -> None:
    guest = Guest("tdx", simulator, swtpm, metadata_service)
    evidence = document(guest)
    assert set(evidence) == {"version", "tpm_quote", "hcl_report", "td_quote"}
    assert base64.urlsafe_b64decode(evidence["td_quote"]) == guest.paravisor.last.raw
    assert [(method, path) for method, path, _ in guest.host.log] == [("POST", TDQUOTE)]
    earlier = guest.paravisor.last.raw
    guest.host.gives("POST", TDQUOTE, lambda _: {"quote": base64.urlsafe_b64encode(earlier).decode()})
    assert refusal(guest, hashlib.sha512(b"next").digest()) == "collect.inconsistent"


def refusal(guest: Guest, data: bytes = DATA) -> str:
    with pytest.raises(CollectError) as failure:
        guest.collect(data)
    assert failure.value.problems[0].remedy
    return failure.value.code


def test_a_report_from_before_our_write_is_not_used(snp: Guest) -> None:
    snp.played.ignored = 2
    assert DIGEST.hex().upper().encode() in base64.urlsafe_b64decode(document(snp)["hcl_report"])
    snp.played.ignored = 99
    assert refusal(snp, hashlib.sha512(b"another").digest()) == "collect.race"


def test_another_writer_of_the_shared_index_is_found(snp: Guest) -> None:
    snp.played.spoil = lambda data: b"\xff" + data[1:]
    assert refusal(snp) == "collect.race"


def test_an_index_of_another_size_is_made_anew(snp: Guest) -> None:
    forget(snp.played.own, USER_DATA)
    define_and_write(snp.played.own, USER_DATA, bytes(32))
    document(snp)
    assert snp.played.own.nv_public(USER_DATA).size == 64


def test_a_pcr_that_changes_between_quote_and_reading_is_read_again(snp: Guest, swtpm: SoftwareTpm) -> None:
    changes = 1

    def extend(command: bytes) -> None:
        nonlocal changes
        if command[6:10] == (0x17E).to_bytes(4, "big") and changes:
            changes -= 1
            swtpm.tool("pcrextend", "23:sha256=" + "ee" * 32)

    snp.played.before_command = extend
    assert document(snp)["tpm_quote"]["pcrs"][23] != "00" * 32
    changes = 99
    assert refusal(snp) == "collect.race"


def test_a_quote_over_other_data_is_refused(snp: Guest) -> None:
    """Somebody between us and the TPM changes what it is asked with."""

    def alter(command: bytes) -> bytes:
        quotes = command[6:10] == (0x158).to_bytes(4, "big")
        return command.replace(DIGEST, DIGEST[::-1]) if quotes else command

    snp.played.alter = alter
    assert refusal(snp) == "collect.inconsistent"


def test_the_keys_certificate_is_cut_from_its_index(snp: Guest) -> None:
    assert snp.collect().ak_certificate is None
    der = snp.paravisor.last.certificates[0]
    define_and_write(snp.played.own, AK_CERTIFICATE, der.ljust(2048, b"\0"))
    assert snp.collect().ak_certificate == der


@pytest.mark.parametrize("size", [48, 63, 65])
def test_report_data_of_another_length_are_refused_before_anything_is_written(snp: Guest, size: int) -> None:
    snp.played.commands.clear()
    assert refusal(snp, bytes(size)) == "collect.bad-request"
    assert snp.played.commands == []


def test_a_plain_tpm_is_no_confidential_machine(snp: Guest) -> None:
    assert is_azure(snp.tpm)
    define_and_write(snp.played.own, HCL_REPORT, b"something else".ljust(2048, b"\0"))
    assert not is_azure(snp.tpm)
    forget(snp.played.own, HCL_REPORT)
    assert not is_azure(snp.tpm)


def test_a_hcl_report_that_is_none_is_refused(snp: Guest) -> None:
    for spoiled in (b"HCLA", b"HCLA".ljust(2048, b"\0"), b"XXXX".ljust(2048, b"\0")):
        snp.played.commands.clear()
        define_and_write(snp.played.own, HCL_REPORT, spoiled)
        snp.played.ignored = 1
        assert refusal(snp) == "collect.inconsistent"


def test_no_key_no_quote(snp: Guest) -> None:
    with pytest.raises(CollectError) as failure:
        snp.tpm.quote(AK + 1, DIGEST, PCRS)
    assert failure.value.code == "collect.unsupported"


def test_the_tpms_refusal_has_its_response_code(snp: Guest) -> None:
    with pytest.raises(CollectError) as failure:
        snp.tpm.nv_define(USER_DATA, 1 << 15)
    assert failure.value.code == "collect.tpm"
    assert "response 0x" in (failure.value.problems[0].found or "")


@pytest.mark.parametrize("status", [301, 404, 500])
def test_the_hosts_other_answers_are_not_followed(snp: Guest, status: int) -> None:
    snp.host.status, snp.host.location = status, snp.host.url + "/elsewhere"
    assert refusal(snp) == "collect.metadata"
    assert {path for _, path, _ in snp.host.log} == {THIM}


@pytest.mark.parametrize(
    "answer", [b"[]", b"{}", b"<html>", b'{"vcekCert": 1, "certificateChain": ""}', b"{" * 99]
)
def test_what_the_host_answers_instead_of_certificates_is_refused(snp: Guest, answer: bytes) -> None:
    snp.host.answers["GET", THIM] = lambda _: answer
    assert refusal(snp) == "collect.metadata"


def test_a_certificate_that_is_no_pem_is_refused(snp: Guest) -> None:
    snp.host.gives("GET", THIM, lambda _: {"vcekCert": "none", "certificateChain": "none"})
    assert refusal(snp) == "collect.metadata"


def test_an_answer_without_end_is_cut_not_read_to_its_end(snp: Guest) -> None:
    snp.host.answers["GET", THIM] = lambda _: b" " * (1 << 20)
    snp.host.times = 256
    assert refusal(snp) == "collect.metadata"
    assert snp.host.sent < 64 << 20


def test_the_service_is_asked_with_its_header_and_without_a_proxy(
    snp: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    document(snp)
    ((method, path, headers),) = snp.host.log
    assert (method, path, headers["Metadata"]) == ("GET", THIM, "true")


def test_no_service_is_said(snp: Guest) -> None:
    with pytest.raises(CollectError) as failure:
        collect_azure(snp.tpm, Metadata("http://127.0.0.1:9"), DATA, sleep=snp.played.sleep)
    assert failure.value.code == "collect.metadata"
