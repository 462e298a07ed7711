"""A URL in a certificate, a list or a manifest is never followed (T-SSRF)."""

from __future__ import annotations

import ast
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from attest import verify
from tests.conftest import ROOT, Sample

NETWORK = {"aiohttp", "asyncio", "ftplib", "http", "httpx", "requests", "socket", "ssl", "urllib", "urllib3"}
EDGES = {
    "attest/collect/metadata.py": "Azure's instance metadata, at a fixed address",
    "attest/collect/quote_service.py": "the host's quoting service, by vsock",
    "attest/nvidia/second_opinion/peer.py": "closes sockets off, in the process that asks NVIDIA's verifier",
    "attest/sources/asked.py": "percent-encodes a chain for a header",
    "attest/sources/client.py": "the one client of the vendors' services",
    "attest/sources/hosts.py": "reads configured addresses",
    "attest/sources/serve.py": "listens, and hands out what it was given",
    "kbs/cli/admin_client.py": "the administrator's client",
    "kbs/cli/serve.py": "listens",
    "kbs/passport/fetched.py": "the keys of an issuer, at the address that the configuration names",
    "kbs/places.py": "brings checkpoints to addresses that the configuration names",
    "kbs/service.py": "the CAs of those addresses",
    "kbs/guest/client.py": "the guest's client of its broker",
    "kbs/config/database.py": "reads a configured address",
    "kbs/store/sqlite.py": "percent-encodes a file's name",
    "kbs/config/keys.py": "reads a configured address",
    "kbs/keys/transit.py": "the one client of a transit server, at its configured address",
    "kbs/http/certificates.py": "the server's own certificate, taken up anew",
    "kbs/http/edge.py": "a time limit on bodies that arrive slowly",
    "kbs/http/console/escaping.py": "percent-encodes what stands in links",
    "kbs/http/console/guard.py": "compares the origin that a browser names with its own",
    "kbs/http/console/inside.py": "asks the administrators' routes of its own process, without a socket",
    "kbs/http/console/site.py": "the words of status codes",
}
"""Files that may import one of them, each with its reason. None of them reads a URL from evidence."""


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_only_the_edges_of_the_broker_reach_the_network() -> None:
    files = [file for room in ("attest", "kbs") for file in (ROOT / room).rglob("*.py")]
    assert len(files) > 100
    assert {str(file.relative_to(ROOT)) for file in files if imported(file) & NETWORK} == set(EDGES)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("td", b"https://certificates.trustedservices.intel.com/"),
        ("h100", b"http://ocsp.ndis.nvidia.com"),
    ],
)
def test_t_ssrf_real_evidence_full_of_urls_is_verified_without_a_socket(
    name: str, url: bytes, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample: Sample = request.getfixturevalue(name)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("verification reached for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    held = [certificate.der for certificate in sample.endorsements.certificates]
    held += [crl.der for crl in sample.endorsements.crls]
    assert any(url in der for der in held), "the sample no longer shows what it should"
    verify(sample.evidence, endorsements=sample.endorsements, at=sample.at)
