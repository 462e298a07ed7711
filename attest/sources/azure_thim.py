"""Azure's Trusted Hardware Identity Management: the host's own word for the machine this program runs on.

A link-local address without authentication: what comes is verified like any other endorsement. Useful
inside an Azure confidential VM only; elsewhere nothing answers, or somebody else does.
Source: Azure THIM, /metadata/THIM/amd/certification.
"""

from __future__ import annotations

from datetime import timedelta

from attest.canonical import read_json
from attest.endorsements import Endorsements
from attest.snp.leaf import kind_of
from attest.sources.client import Request
from attest.sources.failure import failed
from attest.sources.hosts import Hosts
from attest.sources.question import Question
from attest.x509 import MAX_CERTIFICATE, Certificate, parse_certificates


def certification(hosts: Hosts) -> Question:
    """VCEK and chain of this very machine, for its REPORTED_TCB; it may lag after servicing."""

    def read(body: bytes, _: bytes) -> Endorsements:
        document = read_json(body, where="THIM", limit=8 * MAX_CERTIFICATE)
        parts = [
            document.get(name) if isinstance(document, dict) else None
            for name in ("vcekCert", "certificateChain")
        ]
        certificates: list[Certificate] = []
        for part in parts:
            if not isinstance(part, str):
                raise failed(
                    "sources.content", where="THIM", expected="vcekCert and certificateChain", temporary=False
                )
            certificates += parse_certificates(part.encode("utf-8", "replace").strip(), where="THIM", limit=4)
        if not certificates or kind_of(certificates[0]) != "vcek":
            raise failed("sources.content", where="THIM", expected="a VCEK", temporary=False)
        return Endorsements(certificates=tuple(certificates))

    return Question(
        "VCEK of this machine, from its Azure host",
        Request(
            f"{hosts.thim}/metadata/THIM/amd/certification",
            8 * MAX_CERTIFICATE,
            headers={"metadata": "true"},
            types=("application/json",),
            direct=True,
            budget=10.0,
        ),
        read,
        timedelta(hours=1),
    )
