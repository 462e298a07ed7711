"""The administrators' routes for consents: what there is to sign, and what was signed. No key goes in or comes out."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from attest.canonical import read_json
from kbs.consent import LIMIT, payload_of
from kbs.consent_administration import ConsentAdministration, InForce
from kbs.http.principal import By
from kbs.refusals import Refusal

Document = Annotated[str, Field(max_length=LIMIT * 2)]
"""A DSSE envelope, base64."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewConsent(_Strict):
    document: Document


class Withdrawn(_Strict):
    owner: str = Field(max_length=63)
    path: str = Field(max_length=400)


class NewOwners(_Strict):
    path: str = Field(max_length=400)
    owners: list[str] = Field(min_length=1, max_length=64)
    documents: list[Document] = Field(max_length=64)


def add_routes(routes: APIRouter, consents: ConsentAdministration) -> None:
    @routes.get("/consents")
    def listing(owner: Annotated[str | None, Query(max_length=63)] = None) -> list[dict[str, Any]]:
        return [
            {**read_json(payload_of(said), where="consent"), "given": count.given, "wanting": wanting}
            for said, count, wanting in consents.consents()
            if owner in (None, said.owner)
        ]

    @routes.get("/consents/in-force")
    def in_force(
        owner: Annotated[str, Query(max_length=63)], path: Annotated[str | None, Query(max_length=400)] = None
    ) -> dict[str, Any]:
        return _in_force(consents.in_force(owner, path))

    @routes.post("/consents", status_code=201)
    def put(by: By, new: NewConsent) -> dict[str, Any]:
        said: dict[str, Any] = read_json(payload_of(consents.put(by, _bytes(new.document))), where="consent")
        return said

    @routes.post("/consents/withdraw")
    def withdraw(by: By, withdrawn: Withdrawn) -> dict[str, Any]:
        consents.withdraw(by, withdrawn.owner, withdrawn.path)
        return {"owner": withdrawn.owner, "path": withdrawn.path}

    @routes.post("/consents/owners")
    def change_owners(by: By, new: NewOwners) -> dict[str, Any]:
        documents = [_bytes(document) for document in new.documents]
        path, version = consents.change_owners(by, new.path, new.owners, documents)
        return {"path": str(path), "owners": sorted(set(new.owners)), "version": version}


def _bytes(document: str) -> bytes:
    try:
        return base64.b64decode(document, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "InvalidRequest", "a document is padded standard base64") from None


def _in_force(found: InForce) -> dict[str, Any]:
    return {
        "broker": found.broker,
        "owner": found.owner,
        "sequence": found.sequence,
        "path": None if found.path is None else str(found.path),
        "version": found.version,
        "owners": found.owners,
        "policies": {name: list(digests) for name, digests in found.policies.items()},
        "keys": None if found.keys is None else found.keys.members(),
    }
