"""Azure's instance metadata service: certificates for the host's chip, and quotes for TD reports.

Plain HTTP to a link-local address, answered by the host: everything it gives must verify. No proxy, no
redirect, small answers, five seconds.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from attest.canonical import read_json
from attest.collect.errors import failure
from attest.collect.machine import METADATA
from attest.errors import Malformed

SECONDS = 5.0
MAX_ANSWER = 256 << 10
_CERTIFICATION = "/metadata/THIM/amd/certification"
_QUOTE = "/acc/tdquote"


class Metadata:
    """base: the service's URL. Every call raises CollectError."""

    def __init__(self, base: str = METADATA) -> None:
        self._base = base.rstrip("/")

    def amd_certificates(self) -> tuple[str, str]:
        """PEM of the VCEK, and of ASK and ARK. For the current host: after a move they may not fit a report."""
        document = self._ask("GET", _CERTIFICATION)
        leaf, chain = document.get("vcekCert"), document.get("certificateChain")
        if not isinstance(leaf, str) or not isinstance(chain, str):
            raise failure("collect.metadata", where=_CERTIFICATION, expected="vcekCert and certificateChain")
        return leaf, chain

    def td_quote(self, td_report: bytes) -> bytes:
        """The quote that the host makes of this TD report."""
        asked = base64.urlsafe_b64encode(td_report).rstrip(b"=").decode()
        text = self._ask("POST", _QUOTE, {"report": asked}).get("quote")
        if not isinstance(text, str):
            raise failure("collect.metadata", where=_QUOTE, expected="quote")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise failure("collect.metadata", where=_QUOTE, expected="base64url") from None

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            import httpx
        except ModuleNotFoundError:
            raise failure(
                "collect.metadata",
                message="The package httpx is not installed",
                remedy="pip install 'attest[collect]'",
            ) from None
        headers = {"Metadata": "true", "Accept": "application/json"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        try:
            # Proxies of the environment would see, and could answer, what only the host should.
            with (
                httpx.Client(trust_env=False, follow_redirects=False, timeout=SECONDS) as client,
                client.stream(method, self._base + path, headers=headers, content=content) as answer,
            ):
                if answer.status_code != 200:
                    raise failure(
                        "collect.metadata", where=path, expected="status 200", found=answer.status_code
                    )
                data = bytearray()
                for part in answer.iter_bytes():
                    data += part
                    if len(data) > MAX_ANSWER:
                        raise failure("collect.metadata", where=path, expected=f"≤ {MAX_ANSWER} bytes")
        except httpx.TimeoutException:
            raise failure(
                "collect.timeout", where=path, expected=f"an answer within {SECONDS:.0f} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure("collect.metadata", where=path, found=type(error).__name__) from None
        try:
            document = read_json(bytes(data), where=path, limit=MAX_ANSWER)
        except Malformed as error:
            raise failure("collect.metadata", where=path, found=error.problems[0].message) from None
        if not isinstance(document, dict):
            raise failure("collect.metadata", where=path, expected="a JSON object")
        return document
