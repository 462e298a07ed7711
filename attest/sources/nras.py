"""NVIDIA's remote attestation service: send device evidence, take back a detached EAT and the service's keys.

What comes back proves nothing: `attest.nvidia.nras` judges it, with the key set of the same host, which is
vouched for by TLS alone. The evidence leaves this machine, so nothing here is done unless asked for.
Source: NVIDIA Remote Attestation Service, POST /v4/attest/{gpu,switch} and /.well-known/jwks.json.
"""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from attest.nvidia.nras_keys import MAX_JWKS, Jwks
from attest.nvidia.nras_token import MAX_ANSWER, NrasAnswer
from attest.nvidia.second_opinion.question import Question
from attest.sources.client import Client, Request
from attest.sources.hosts import Hosts
from attest.sources.nvidia_rim import authorization

VERSIONS = ("v3", "v4")
_JSON = ("application/json", "application/jwk-set+json")


@dataclass
class Nras:
    """One service. version: of its interface. service_key: a licence's key, where there is one.

    The key set is kept for as long as this object lives and fetched again, once, for a key it does not hold:
    the service changes its keys, and a token must not fail for that.
    """

    client: Client
    hosts: Hosts
    version: str = "v4"
    service_key: str | None = None
    _keys: Jwks | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise ValueError(f"version is {' or '.join(VERSIONS)}")

    def attest(self, questions: Sequence[Question], nonce: bytes) -> tuple[NrasAnswer, ...]:
        """The service's answers about these devices, one for each architecture, in the devices' order.

        nonce: the 32 bytes all of them were asked with. Raises FetchFailed, Malformed.
        """
        return tuple(
            NrasAnswer.parse(self._post(kind, architecture, list(devices), nonce))
            for (kind, architecture), devices in groupby(questions, lambda one: (one.kind, one.architecture))
        )

    def keys_for(self, answers: Iterable[NrasAnswer]) -> Jwks:
        """The service's key set; fetched again when a token names a key that the kept one lacks.

        Raises FetchFailed, Malformed.
        """
        if self._keys is None or not _named(answers) <= self._keys.keys.keys():
            self._keys = self._fetch_keys()
        return self._keys

    def _post(self, kind: str, architecture: str, devices: list[Question], nonce: bytes) -> bytes:
        body: dict[str, Any] = {
            "nonce": nonce.hex(),
            "arch": architecture.upper(),
            "claims_version": "3.0",
            "evidence_list": [
                {
                    "evidence": base64.b64encode(one.report).decode(),
                    "certificate": base64.b64encode("".join(map(_pem, one.certificates)).encode()).decode(),
                }
                for one in devices
            ],
        }
        request = Request(
            f"{self.hosts.nras}/{self.version}/attest/{kind}",
            limit=MAX_ANSWER,
            method="POST",
            body=json.dumps(body).encode(),
            headers={"content-type": "application/json", **authorization(self.service_key)},
            types=_JSON,
        )
        return self.client.send(request).body

    def _fetch_keys(self) -> Jwks:
        request = Request(f"{self.hosts.nras}/.well-known/jwks.json", limit=MAX_JWKS, types=_JSON)
        return Jwks.parse(self.client.send(request).body)


def _named(answers: Iterable[NrasAnswer]) -> set[str]:
    kids = (
        token.header.get("kid") for answer in answers for token in (answer.overall, *answer.devices.values())
    )
    return {kid for kid in kids if isinstance(kid, str)}


def _pem(der: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
