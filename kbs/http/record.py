"""The routes of those who read the audit trail. No secret is in it."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query

from attest.canonical import read_json
from kbs.audit import AuditRow, Head
from kbs.audit_proof import Proof, Witness
from kbs.record_administration import RecordAdministration, Search
from kbs.refusals import Refusal

After = Annotated[int, Query(ge=0, lt=1 << 63)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Word = Annotated[str | None, Query(max_length=400)]


def add_routes(routes: APIRouter, record: RecordAdministration) -> None:
    @routes.get("/audit")
    def audit(after: After = 0, limit: Limit = 200) -> list[dict[str, Any]]:
        return [_row(row) for row in record.rows(after, limit)]

    @routes.get("/audit/search")
    def search(
        after: After = 0,
        limit: Limit = 200,
        event: Word = None,
        owner: Word = None,
        path: Word = None,
        session: Word = None,
        policy: Word = None,
        since: Word = None,
        until: Word = None,
        text: Word = None,
        newest: bool = False,
        before: Annotated[int | None, Query(ge=1, lt=1 << 63)] = None,
    ) -> dict[str, Any]:
        wanted = Search(event, owner, path, session, policy, since, until, text)
        if newest:
            rows, more = record.search_back(wanted, before, limit)
        else:
            rows, more = record.search(wanted, after, limit)
        return {"rows": [_row(row) for row in rows], "after": more}

    @routes.get("/audit/verify")
    def verify(head: Annotated[list[str], Query(max_length=64)] = []) -> dict[str, Any]:  # noqa: B006  (FastAPI copies it)
        return proof_json(
            record.proof([Witness(_head(one), f"head {one.partition(':')[0]}") for one in head])
        )

    @routes.get("/audit/checkpoint")
    def checkpoint() -> dict[str, Any]:
        made = record.checkpoint()
        if made is None:
            raise Refusal(404, "ResourceNotFound", "the trail has no row yet")
        return {"head": str(made[0].head), "document": base64.b64encode(made[1]).decode()}

    @routes.get("/audit/checkpoint-key")
    def checkpoint_key() -> dict[str, str]:
        return {"key": record.checkpoint_key()}


def proof_json(proof: Proof) -> dict[str, Any]:
    return {
        "rows": proof.rows,
        "head": str(proof.head),
        "faults": list(proof.faults),
        "proved": proof.proved,
        "sentence": proof.sentence,
    }


def _head(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError as error:
        raise Refusal(400, "InvalidRequest", str(error)) from None


def _row(row: AuditRow) -> dict[str, Any]:
    return {"hash": row.hash.hex(), "row": read_json(row.body, where=f"audit row {row.number}")}
