"""The administrators' routes for the broker's own keys. No key goes in or comes out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from attest.claims import instant
from kbs.http.principal import By
from kbs.key_administration import START, KekUse, KeyAdministration


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Place(_Strict):
    path: str = Field(max_length=400)
    version: int = Field(ge=0, lt=1 << 63)


class RewrapFrom(_Strict):
    """after: as the answer before said; null for the first."""

    after: Place | None = None


class Retired(_Strict):
    id: str = Field(max_length=255)


def add_routes(routes: APIRouter, keys: KeyAdministration) -> None:
    @routes.get("/keys")
    def listing() -> dict[str, Any]:
        return {"keys": [_use(use) for use in keys.uses()], "token_keys": keys.token_keys()}

    @routes.post("/keys/rotate", status_code=201)
    def rotate(by: By) -> dict[str, Any]:
        return {"id": keys.rotate(by).id}

    @routes.post("/keys/rewrap")
    def rewrap(by: By, start: RewrapFrom) -> dict[str, Any]:
        after = START if start.after is None else (start.after.path, start.after.version)
        batch = keys.rewrap(by, after)
        failed = [
            {"path": str(row.path), "version": row.version, "cause": cause} for row, cause in batch.failed
        ]
        last = None if batch.after is None else dict(zip(("path", "version"), batch.after, strict=True))
        return {"done": batch.done, "after": last, "failed": failed}

    @routes.post("/keys/retire")
    def retire(by: By, key: Retired) -> dict[str, Any]:
        keys.retire(by, key.id)
        return {"id": key.id}

    @routes.post("/keys/token/rotate", status_code=201)
    def rotate_token(by: By) -> dict[str, Any]:
        return {"id": keys.rotate_token(by)}

    @routes.post("/keys/session/rotate", status_code=201)
    def rotate_session(by: By) -> dict[str, Any]:
        keys.rotate_session(by)
        return {}


def _use(use: KekUse) -> dict[str, Any]:
    created = None if use.kek is None or use.kek.created is None else instant(use.kek.created)
    return {
        "id": use.id,
        "created": created,
        "versions": use.versions,
        "wraps": use.wraps,
        "open": use.kek is not None,
    }
