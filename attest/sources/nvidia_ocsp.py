"""NVIDIA's OCSP responder: whether a certificate of a device or a manifest's signer is withdrawn.

A nonce goes out with each question. Responders behind a cache answer without it, which is taken: the
answer's own window says how fresh it is. An answer with another nonce is somebody else's.
Source: RFC 6960; RFC 9654 (nonce); NVIDIA OCSP service.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta

from attest.endorsements import Endorsements
from attest.nvidia.ocsp import names_issuer
from attest.nvidia.ocsp_answer import MAX_ANSWER, Answer
from attest.nvidia.ocsp_request import build_request
from attest.sources.client import Request
from attest.sources.failure import failed
from attest.sources.hosts import Hosts
from attest.sources.nvidia_rim import authorization
from attest.sources.question import Question
from attest.x509 import Certificate

_NONCE = 32
_RENEW = timedelta(hours=6)


def status(
    hosts: Hosts,
    certificate: Certificate,
    issuer: Certificate,
    service_key: str | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> Question:
    """The state of one certificate. Raises FetchFailed (`sources.unbuildable`) where no question can be made."""
    nonce = random(_NONCE)
    name = certificate.common_name.shown
    try:
        body = build_request(certificate, issuer, nonce)
    except (ValueError, TypeError) as error:
        raise failed("sources.unbuildable", where=name, found=str(error), temporary=False) from None

    def read(data: bytes, _: bytes) -> Endorsements:
        answer = Answer.parse(data)
        if not any(
            single.serial == certificate.serial and names_issuer(single, issuer) for single in answer.singles
        ):
            raise failed(
                "sources.content",
                where=f"OCSP answer about {name}",
                expected=f"serial {certificate.serial:#x} of {issuer.common_name.shown}",
                found=f"serial {answer.singles[0].serial:#x}, or another issuer's",
                temporary=False,
            )
        return Endorsements(ocsp=(data,))

    def check(data: bytes) -> None:
        answered = Answer.parse(data).nonce
        if answered is not None and answered != nonce:
            raise failed(
                "sources.content",
                where=f"OCSP answer about {name}",
                expected="our nonce, or none",
                found="another nonce",
                temporary=False,
            )

    return Question(
        f"OCSP answer about {name}, serial {certificate.serial:#x}",
        Request(
            f"{hosts.ocsp}/",
            MAX_ANSWER,
            method="POST",
            body=body,
            headers={"content-type": "application/ocsp-request", **authorization(service_key)},
            types=("application/ocsp-response", "application/octet-stream"),
        ),
        read,
        _RENEW,
        # The certificate and its issuer, not the request: its nonce is another each time. All of the issuer:
        # asked with a forged one of the same key, the responder refuses, and refusals are kept too.
        name=hashlib.sha256(issuer.fingerprint + certificate.fingerprint).hexdigest(),
        check=check,
    )
