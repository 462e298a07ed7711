"""Text that one database keeps and the other does not is the sender's mistake, and nobody's failure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kbs.conftest import Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.twin import refusal_of

ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "rules", {"params": {"owner": "\0"}}),
    ("GET", "secrets", {"params": {"owner": "\0"}}),
    ("GET", "audit/search", {"params": {"text": "\0", "owner": "\0"}}),
    ("POST", "stops", {"json": {"owner": "acme", "reason": "a\0b"}}),
    ("POST", "revocations", {"json": {"kind": "token", "value": "j", "reason": "a\0b"}}),
    ("POST", "consents/withdraw", {"json": {"owner": "\0", "path": "acme/key/model"}}),
    ("DELETE", "stops", {"params": {"owner": "\0"}}),
    ("PATCH", "owners/%00", {"json": {"enabled": True}}),
    ("DELETE", "principals/%00", {}),
    ("GET", "why/%00", {}),
]


@pytest.mark.parametrize(("method", "path", "request_"), ASKED, ids=[f"{m} {p}" for m, p, _ in ASKED])
def test_a_nul_fails_nobody(acme: Bench, method: str, path: str, request_: dict[str, Any]) -> None:
    before = len(acme.rows())
    answer = acme.admin(method, path, **request_)
    if not answer.is_success:
        assert refusal_of(answer).status < 500
        assert len(acme.rows()) == before
