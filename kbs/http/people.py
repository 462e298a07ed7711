"""The routes for principals. A key comes out once, when it is made."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from attest.claims import instant
from kbs.access import Principal, Subject
from kbs.people import ListedPrincipal, People
from kbs.refusals import Refusal

Name = Annotated[str, Path(max_length=63)]


class NewPerson(BaseModel):
    """owners: of the role owner. days: until the principal ends; null for never. subject: who signs in by a provider's
    tokens, in the place of a key."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(max_length=63)
    role: str = Field(max_length=20)
    owners: list[str] = Field(default_factory=list, max_length=64)
    days: int | None = Field(default=None, ge=1, le=3650)
    provider: str | None = Field(default=None, max_length=31)
    subject: str | None = Field(default=None, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")


class NewKey(BaseModel):
    """overlap_seconds: how long the key before it counts still."""

    model_config = ConfigDict(extra="forbid", strict=True)
    overlap_seconds: int = Field(default=0, ge=0, le=30 * 24 * 3600)


def add_routes(routes: APIRouter, people: People) -> None:
    @routes.get("/principals")
    def listing() -> list[dict[str, Any]]:
        return [_listed(one) for one in people.listed()]

    @routes.post("/principals", status_code=201)
    def add(request: Request, new: NewPerson) -> dict[str, Any]:
        if (new.provider is None) != (new.subject is None):
            raise Refusal(400, "InvalidRequest", "give provider and subject, or neither")
        subject = None
        if new.provider is not None and new.subject is not None:
            subject = Subject(new.provider, new.subject)
        made = people.add(request.state.who, new.name, new.role, new.owners, new.days, subject)
        return {**_principal(made.principal), "key": made.key}

    @routes.post("/principals/{name}/rotate")
    def rotate(request: Request, name: Name, asked: NewKey) -> dict[str, Any]:
        made = people.rotate(request.state.who, name, asked.overlap_seconds)
        return {**_principal(made.principal), "key": made.key}

    @routes.delete("/principals/{name}")
    def remove(request: Request, name: Name) -> dict[str, Any]:
        people.remove(request.state.who, name)
        return {"name": name}


def _listed(one: ListedPrincipal) -> dict[str, Any]:
    ends = one.former_ends
    return {
        **_principal(one.principal),
        "used": None if one.used is None else one.used.date().isoformat(),
        "former_key_ends": None if ends is None else instant(ends),
    }


def _principal(one: Principal) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "owners": sorted(one.owners),
        "expires": None if one.expires is None else instant(one.expires),
        "provider": None if one.subject is None else one.subject.provider,
        "subject": None if one.subject is None else one.subject.subject,
    }
