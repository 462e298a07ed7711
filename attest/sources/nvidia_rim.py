"""NVIDIA's RIM service: reference manifests by id.

An id is made of fields of the device report, each of the alphabet `[A-Z0-9._]` or none is asked for.
Manifests are re-issued under their id, with a new signer and sometimes other values, so a kept one is
renewed daily and several of one id may be given to verify.
Source: NVIDIA RIM service API, /v1/rim/{id}.
"""

from __future__ import annotations

import binascii
import re
from datetime import timedelta

from attest import strict_base64
from attest.canonical import read_json
from attest.endorsements import Endorsements
from attest.nvidia.rim import MAX_RIM, Rim
from attest.sources.client import Request
from attest.sources.failure import failed
from attest.sources.hosts import Hosts
from attest.sources.question import Question

_ID = re.compile(r"NV_[A-Z0-9._]{1,120}")
_DAY = timedelta(days=1)


def rim(hosts: Hosts, identifier: str, service_key: str | None = None) -> Question:
    """The manifest of this id. Raises FetchFailed (`sources.unbuildable`) for an id of another alphabet."""
    if not _ID.fullmatch(identifier) or ".." in identifier:
        raise failed(
            "sources.unbuildable",
            where="manifest id",
            expected="NV_ and letters, digits, dots",
            found=identifier,
            temporary=False,
        )

    def read(body: bytes, _: bytes) -> Endorsements:
        document = read_json(body, where=f"RIM service, {identifier}", limit=2 * MAX_RIM)
        found = document.get("id") if isinstance(document, dict) else None
        text = document.get("rim") if isinstance(document, dict) else None
        form = document.get("rim_format", "TCG") if isinstance(document, dict) else None
        if found != identifier or not isinstance(text, str) or form != "TCG":
            raise failed(
                "sources.content",
                where=identifier,
                expected=f"the TCG manifest {identifier}",
                found=f"id {found}, format {form}",
                temporary=False,
            )
        try:
            data = strict_base64.decode("".join(text.split()))
        except binascii.Error:
            raise failed("sources.content", where=identifier, expected="base64", temporary=False) from None
        return Endorsements(rims=(Rim.parse(data),))

    return Question(
        f"manifest {identifier}",
        Request(
            f"{hosts.rim}/v1/rim/{identifier}",
            2 * MAX_RIM,
            headers=authorization(service_key),
            types=("application/json",),
        ),
        read,
        _DAY,
    )


def authorization(service_key: str | None) -> dict[str, str]:
    """NVIDIA's services take a bearer key, and answer without one too."""
    return {} if service_key is None else {"authorization": f"Bearer {service_key}"}
