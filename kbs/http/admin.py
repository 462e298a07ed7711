"""The administrators' door, `/admin/v1`: owners, rules, secrets, audit. No secret comes out of it.

Each route is a method and a parsed path; the key is asked for before anything is read (T-ACL). A guest's
cookie or token means nothing here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from attest.claims import instant
from kbs.administration import Administration
from kbs.domain import Owner, Rule, Version
from kbs.http import consents, foresight, keys, record, stops
from kbs.http.auth import principal
from kbs.http.principal import By
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.terms import InvalidTerms, Terms

PREFIX = "/admin/v1"


_INTEGERS = (1 << 63) - 1  # what the database can hold
RuleId = Annotated[int, Path(ge=1, le=_INTEGERS)]
VersionNumber = Annotated[int, Path(ge=1, lt=1 << 31)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewOwner(_Strict):
    name: str = Field(max_length=63)


class Enabled(_Strict):
    enabled: bool


class NewRule(_Strict):
    owner: str = Field(max_length=63)
    path: str = Field(max_length=400)
    policy: str


class NewSecret(_Strict):
    """value: padded standard base64. generate: how many random bytes the broker makes; one of the two. terms: as
    `Terms.parse` reads them."""

    owners: list[str] = Field(min_length=1, max_length=64)
    value: str | None = None
    generate: int | None = Field(default=None, ge=16, le=4096)
    terms: dict[str, str | int] = Field(default_factory=dict, max_length=8)
    overlap_seconds: int = Field(default=0, ge=0, lt=1 << 31)


def router(administration: Administration, store: Store) -> APIRouter:
    def authenticate(request: Request) -> None:
        given = request.headers.get("authorization")
        request.state.principal = store.read(lambda tx: principal(tx, given))

    class AfterTheKey(APIRoute):
        """Asks for the key before the framework parses a body: a dependency would run after that."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def authenticated(request: Request) -> Response:
                await run_in_threadpool(authenticate, request)
                return await handle(request)

            return authenticated

    routes = APIRouter(prefix=PREFIX, route_class=AfterTheKey)

    @routes.get("/owners")
    def owners() -> list[dict[str, Any]]:
        return [_owner(owner) for owner in administration.owners()]

    @routes.post("/owners", status_code=201)
    def add_owner(by: By, owner: NewOwner) -> dict[str, Any]:
        return _owner(administration.add_owner(by, owner.name))

    @routes.patch("/owners/{name}")
    def enable_owner(by: By, name: str, state: Enabled) -> dict[str, Any]:
        return _owner(administration.enable_owner(by, name, state.enabled))

    @routes.get("/rules")
    def rules(owner: Annotated[str | None, Query(max_length=63)] = None) -> list[dict[str, Any]]:
        return [_rule(rule) for rule in administration.rules(owner)]

    @routes.put("/rules")
    def put_rule(by: By, rule: NewRule) -> dict[str, Any]:
        return _rule(administration.put_rule(by, rule.owner, rule.path, rule.policy))

    @routes.patch("/rules/{rule_id}")
    def enable_rule(by: By, rule_id: RuleId, state: Enabled) -> dict[str, Any]:
        administration.enable_rule(by, rule_id, state.enabled)
        return {"id": rule_id, "enabled": state.enabled}

    @routes.delete("/rules/{rule_id}")
    def delete_rule(by: By, rule_id: RuleId) -> dict[str, Any]:
        administration.delete_rule(by, rule_id)
        return {"id": rule_id}

    @routes.get("/secrets")
    def secrets() -> list[dict[str, Any]]:
        return [
            {"path": str(secret.path), "owners": secret.owners, "version": secret.version}
            for secret in administration.secrets()
        ]

    @routes.put("/secrets/{repository}/{kind}/{tag}")
    def put_secret(by: By, repository: str, kind: str, tag: str, secret: NewSecret) -> dict[str, Any]:
        if (secret.value is None) == (secret.generate is None):
            raise Refusal(400, "InvalidRequest", "give either value or generate")
        try:
            terms = Terms.parse(secret.terms)
        except InvalidTerms as error:
            raise Refusal(400, "InvalidRequest", str(error)) from None
        where = f"{repository}/{kind}/{tag}"
        if secret.generate is not None:
            path, version = administration.generate_secret(
                by, where, secret.owners, secret.generate, terms, secret.overlap_seconds
            )
            return {"path": str(path), "version": version}
        try:
            value = base64.b64decode(secret.value or "", validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(400, "InvalidRequest", "the value is not padded standard base64") from None
        path, version = administration.put_secret(
            by, where, secret.owners, value, terms, secret.overlap_seconds
        )
        return {"path": str(path), "version": version}

    @routes.delete("/secrets/{repository}/{kind}/{tag}")
    def delete_secret(by: By, repository: str, kind: str, tag: str) -> dict[str, Any]:
        administration.delete_secret(by, f"{repository}/{kind}/{tag}")
        return {"path": f"{repository}/{kind}/{tag}"}

    @routes.get("/secrets/{repository}/{kind}/{tag}/versions")
    def versions(repository: str, kind: str, tag: str) -> list[dict[str, Any]]:
        found = administration.versions(f"{repository}/{kind}/{tag}")
        return [_version(one) for one in found]

    @routes.patch("/secrets/{repository}/{kind}/{tag}/versions/{version}")
    def enable_version(
        by: By, repository: str, kind: str, tag: str, version: VersionNumber, state: Enabled
    ) -> dict[str, Any]:
        administration.enable_version(by, f"{repository}/{kind}/{tag}", version, state.enabled)
        return {"path": f"{repository}/{kind}/{tag}", "version": version, "enabled": state.enabled}

    @routes.delete("/secrets/{repository}/{kind}/{tag}/versions/{version}")
    def destroy_version(
        by: By, repository: str, kind: str, tag: str, version: VersionNumber
    ) -> dict[str, Any]:
        administration.destroy_version(by, f"{repository}/{kind}/{tag}", version)
        return {"path": f"{repository}/{kind}/{tag}", "version": version}

    record.add_routes(routes, administration.record)
    foresight.add_routes(routes, administration.foresight)
    keys.add_routes(routes, administration.keys)
    stops.add_routes(routes, administration.stops)
    consents.add_routes(routes, administration.consents)
    return routes


def _owner(owner: Owner) -> dict[str, Any]:
    return {"name": owner.name, "enabled": owner.enabled, "stopped": owner.stopped}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "owner": rule.owner,
        "path": str(rule.pattern),
        "digest": rule.digest,
        "enabled": rule.enabled,
        "policy": rule.policy,
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "created": instant(version.created),
        "state": "destroyed" if version.destroyed else "enabled" if version.enabled else "disabled",
        "overlaps": None if version.overlaps is None else instant(version.overlaps),
        "terms": version.terms.as_dict(),
        "given": version.given,
    }
