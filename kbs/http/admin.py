"""The administrators' door, `/admin/v1`: owners, rules, secrets, audit. No secret comes out of it.

Each route is a method and a parsed path; the key is asked for before anything is read (T-ACL). A guest's
cookie or token means nothing here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from attest.claims import instant
from kbs.access import DOORS, Door, Principal
from kbs.administration import Administration
from kbs.agreement import Agreement, under
from kbs.approval import DESTRUCTIVE, Act, role_in, state_of
from kbs.domain import Owner, Rule, Version
from kbs.http import approvals, consents, expiring, foresight, keys, people, record, stops
from kbs.http.auth import given, principal
from kbs.http.client_address import client_address
from kbs.http.concerns import Asked, owners_of_request
from kbs.http.principal import By
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.repository import Repository
from kbs.terms import MOST, InvalidTerms, Terms

PREFIX = "/admin/v1"


_INTEGERS = (1 << 63) - 1  # what the database can hold
RuleId = Annotated[int, Path(ge=1, le=_INTEGERS)]
VersionNumber = Annotated[int, Path(ge=1, lt=1 << 31)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewOwner(_Strict):
    name: str = Field(max_length=63)


class Paths(_Strict):
    """As rules have them."""

    paths: list[Annotated[str, Field(max_length=390)]] = Field(max_length=256)


class Enabled(_Strict):
    enabled: bool


class Quota(_Strict):
    """releases_an_hour: null for what the configuration says."""

    releases_an_hour: int | None = Field(ge=1, le=MOST)


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


Asking = Callable[[Request, str], Callable[[Repository, datetime], Principal]]
"""Of a request and its template: what it proves, before any transaction, and who that is, within one. Raises Refusal."""


def by_authorization(administration: Administration) -> Asking:
    def asking(request: Request, _template: str) -> Callable[[Repository, datetime], Principal]:
        proved = given(request.headers.get("authorization"), administration.sign_in, administration.now)
        return lambda tx, now: principal(tx, proved, now)

    return asking


def router(administration: Administration, store: Store, asking: Asking | None = None) -> APIRouter:
    asks = by_authorization(administration) if asking is None else asking

    def authenticate(request: Request, template: str, body: bytes) -> Agreement | None:
        """What another agreed to, where this needs that."""
        door = DOORS.get((request.method, template))

        def standing(tx: Repository) -> str:
            return state_of(template, request.path_params, request.query_params, tx)

        here: list[tuple[Principal, datetime, datetime | None]] = []

        def look(tx: Repository) -> tuple[Principal, Act]:
            now = administration.now_in(tx)
            who = who_asks(tx, now)
            here.append((who, now, tx.principals.used_on(who.name)))
            concerned = frozenset[str]()
            if door is not None and door.own is not None:
                asked = Asked(request.path_params, request.query_params, body, who.owners)
                concerned = owners_of_request(door.own, asked, tx)
            if door is None or not (who.role in ("administrator", *door.roles) or who.owners & concerned):
                raise Refusal(403, "AdminAuthAccess", _not_yours(who, door))
            path = request.url.path.removeprefix(PREFIX)
            state, role = "", None
            if administration.four_eyes and (request.method, template) in DESTRUCTIVE:
                state = standing(tx)
                role = role_in(request.method, template, request.path_params, body, tx.registry)
            return who, Act(request.method, template, path, request.url.query, body, concerned, state, role)

        # Within the process its own door counts: its addresses are nobody's.
        address = client_address(request)
        with administration.tries.counted(address) if asking is None else nullcontext():
            who_asks = asks(request, template)
            try:
                who, act = store.read(look)
            finally:
                for one, now, used in here[-1:]:
                    administration.people.here(one, now, used)
        request.state.principal, request.state.who = who.name, who
        if administration.four_eyes and act.needs_another:
            return administration.approvals.given_or_asked(who, act, standing)
        return None

    class AfterTheKey(APIRoute):
        """Asks for the key, and what its holder may, before the framework parses a body: a dependency would run after
        that."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            template = self.path.removeprefix(PREFIX)

            async def authenticated(request: Request) -> Response:
                agreement = await run_in_threadpool(authenticate, request, template, await request.body())
                with under(agreement):
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

    @routes.put("/owners/{name}/paths")
    def give_paths(by: By, name: str, given: Paths) -> dict[str, Any]:
        return _owner(administration.give_paths(by, name, given.paths))

    @routes.put("/owners/{name}/quota")
    def limit_owner(by: By, name: str, quota: Quota) -> dict[str, Any]:
        return _owner(administration.limit_owner(by, name, quota.releases_an_hour))

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
    def secrets(owner: Annotated[str | None, Query(max_length=63)] = None) -> list[dict[str, Any]]:
        return [
            {"path": str(secret.path), "owners": secret.owners, "version": secret.version}
            for secret in administration.secrets()
            if owner is None or owner in secret.owners
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
    expiring.add_routes(routes, administration.expiring)
    keys.add_routes(routes, administration.keys)
    approvals.add_routes(routes, administration.approvals)
    people.add_routes(routes, administration.people)
    stops.add_routes(routes, administration.stops)
    consents.add_routes(routes, administration.consents)
    return routes


def _not_yours(who: Principal, door: Door | None) -> str:
    if door is not None and door.own == "the secret's owners" and who.role == "owner":
        return (
            f"this is not of {', '.join(sorted(who.owners))}: an owner's key puts a first secret for himself alone, in the"
            " repository of his name or where kbs owner paths says; an administrator puts others"
        )
    if door is not None and door.own is not None and who.role == "owner":
        return f"this is not of {', '.join(sorted(who.owners))}; it goes by {door.own}"
    return f"the role {who.role} may not do this"


def _owner(owner: Owner) -> dict[str, Any]:
    return {
        "name": owner.name,
        "enabled": owner.enabled,
        "paths": [str(path) for path in owner.paths],
        "releases_an_hour": owner.releases_an_hour,
    }


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
