"""The doors as OpenAPI 3.1: docs/reference/openapi.json. Written from the routes themselves; the broker does not serve it.

Parameters and bodies are those that the framework checks. Answers are those of kbs.http.answers. The guests' door checks its
bodies by itself, and is described by hand.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from kbs.access import DOORS, Door
from kbs.administration import Administration
from kbs.http import admin
from kbs.http.answers import ANSWERS
from kbs.http.guest import COOKIE, LEASE, RECEIPT
from kbs.http.guest import PREFIX as GUESTS
from kbs.http.watched import HEADER
from kbs.keys.ring import KeyRing
from kbs.refusals import TYPE_PREFIX, Kind
from kbs.store.database import Store

_TITLE: Final = "kbs, a key broker for machines that prove what they run"
_ABOUT: Final = (
    "Guests attest at `/kbs/v0` and get secrets wrapped for the key that their hardware signed. Administrators have keys and "
    "roles at `/admin/v1`. Every answer but 2xx has the one shape Error; 500, which stands nowhere below, is a fault of the "
    "broker's or of its key store's, and releases nothing."
)
_REFUSALS: Final = {
    400: "What was sent cannot be taken.",
    401: "No key that counts.",
    403: "The key's role may not do this, or another person must agree first.",
    404: "There is no such thing.",
    405: "Not with this method.",
    408: "The body did not arrive in time.",
    409: "It does not go with what is there.",
    413: "Larger than is taken.",
    422: "A parameter or member has another form; the sentence names it.",
    429: "Too many at once or in this time; Retry-After says when again.",
    503: "The database, the key store or the clock does not serve; nothing was released.",
}
_GUESTS: Final = (400, 401, 404, 405, 408, 413, 429, 503)
_REF: Final = "#/components/schemas/{model}"


def describe() -> dict[str, Any]:
    """The document. Nothing is opened for it: the routes are made over parts that are never asked."""
    administration = Administration(cast(Store, None), cast(KeyRing, None))
    app = FastAPI()
    app.include_router(admin.router(administration, cast(Store, None)))
    made = get_openapi(title=_TITLE, version="1", description=_ABOUT, routes=app.routes)
    schemas: dict[str, Any] = made["components"]["schemas"]
    for framework in ("HTTPValidationError", "ValidationError"):
        del schemas[framework]
    answers, definitions = TypeAdapter.json_schemas(
        [(door, "serialization", TypeAdapter(answer)) for door, answer in ANSWERS.items()], ref_template=_REF
    )
    schemas |= definitions.get("$defs", {})
    schemas["Error"] = _error()
    error = {"$ref": _REF.format(model="Error")}
    made["components"]["responses"] = {
        str(status): _answer(about, error) for status, about in _REFUSALS.items()
    }
    made["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An administration key, `kbsadm_…`."}
    }
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            door = (method.upper(), path.removeprefix(admin.PREFIX))
            operation["operationId"] = re.sub(r"[^a-z0-9]+", "-", f"{method}{door[1]}").strip("-")
            _finish(operation, DOORS[door], answers[door, "serialization"])
    made["paths"] |= _guests() | _strangers()
    schemas |= _GUEST_SCHEMAS
    made["components"]["schemas"] = dict(sorted(schemas.items()))
    return made


def _finish(operation: dict[str, Any], door: Door, answer: dict[str, Any]) -> None:
    operation["tags"] = ["administrators"]
    operation["security"] = [{"key": []}]
    who = ", ".join(["administrator", *sorted(door.roles)])
    operation["description"] = f"For {who}" + (f"; owners, by {door.own}." if door.own else ".")
    (status,) = [code for code in operation["responses"] if code.startswith("2")]
    operation["responses"] = {
        status: _answer("Done.", answer),
        **_refusals(*_REFUSALS),
    }


def _answer(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    header = {"description": "Of this request, in the broker's log.", "schema": {"type": "string"}}
    return {
        "description": about,
        "headers": {HEADER: header},
        "content": {"application/json": {"schema": schema}},
    }


def _refusals(*statuses: int) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _error() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": [TYPE_PREFIX + kind for kind in get_args(Kind)]},
            "detail": {
                "type": "string",
                "description": "A sentence; (reason …) where the audit trail has a row.",
            },
        },
        "required": ["type", "detail"],
        "additionalProperties": False,
    }


_GUEST_SCHEMAS: Final[dict[str, Any]] = {
    "GuestRequest": {
        "type": "object",
        "properties": {
            "version": {"type": "string", "description": "Of the protocol, `0.4.0`."},
            "tee": {"type": "string"},
            "extra-params": {},
        },
        "required": ["version", "tee"],
    },
    "GuestChallenge": {
        "type": "object",
        "properties": {
            "nonce": {"type": "string", "description": "32 bytes, base64."},
            "extra-params": {"type": "string"},
        },
        "required": ["nonce", "extra-params"],
        "additionalProperties": False,
    },
    "GuestAttestation": {
        "type": "object",
        "description": "Evidence over the nonce and the guest's key, as its protocol's version has it.",
    },
    "GuestToken": {
        "type": "object",
        "properties": {"token": {"type": "string", "description": "JWT, for /.well-known/jwks.json."}},
        "required": ["token"],
        "additionalProperties": False,
    },
    "GuestSecret": {
        "type": "object",
        "description": "JWE in JSON, for the attested key.",
        "properties": {
            name: {"type": "string"} for name in ("protected", "encrypted_key", "iv", "ciphertext", "tag")
        },
        "required": ["protected", "encrypted_key", "iv", "ciphertext", "tag"],
        "additionalProperties": False,
    },
}


def _guests() -> dict[str, Any]:
    def ref(model: str) -> dict[str, Any]:
        return {"$ref": _REF.format(model=model)}

    def operation(name: str, about: str, answer: str) -> dict[str, Any]:
        responses = {"200": _answer("Granted.", ref(answer)), **_refusals(*_GUESTS)}
        return {"operationId": name, "tags": ["guests"], "summary": about, "responses": responses}

    def body(model: str) -> dict[str, Any]:
        return {"required": True, "content": {"application/json": {"schema": ref(model)}}}

    cookie = {"name": COOKIE, "in": "cookie", "required": False, "schema": {"type": "string"}}
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("repository", "kind", "tag")
    ]
    auth = operation("auth", "A challenge, and the cookie of a session.", "GuestChallenge")
    attest = operation("attest", "Evidence for the challenge.", "GuestToken")
    resource = operation("resource", "A secret, where all of its owners agree.", "GuestSecret")
    resource["responses"] |= _refusals(403)
    resource["responses"]["200"]["headers"] |= {
        RECEIPT: {"description": "NUMBER:HASH of the audit row.", "schema": {"type": "string"}},
        LEASE: {"description": "Until when it may be used.", "schema": {"type": "string"}},
    }
    return {
        f"{GUESTS}/auth": {"post": {**auth, "requestBody": body("GuestRequest")}},
        f"{GUESTS}/attest": {
            "post": {**attest, "parameters": [cookie], "requestBody": body("GuestAttestation")}
        },
        f"{GUESTS}/resource/{{repository}}/{{kind}}/{{tag}}": {
            "get": {**resource, "parameters": [*path, cookie]}
        },
    }


def _strangers() -> dict[str, Any]:
    def status(word: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"status": {"const": word}},
            "required": ["status"],
            "additionalProperties": False,
        }

    def operation(name: str, about: str, schema: dict[str, Any], *statuses: int) -> dict[str, Any]:
        responses = {"200": _answer("Yes.", schema), **_refusals(*statuses)}
        return {"get": {"operationId": name, "tags": ["anybody"], "summary": about, "responses": responses}}

    keys = {
        "type": "object",
        "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
        "required": ["keys"],
    }
    return {
        "/healthz": operation("healthz", "Does the process live?", status("serving"), 405),
        "/readyz": operation("readyz", "Can it serve guests now?", status("ready"), 405, 503),
        "/.well-known/jwks.json": operation("jwks", "Public keys of the tokens.", keys, 405, 503),
    }
