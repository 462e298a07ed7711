"""Whose a request is, read from its path, query and body before anything is done."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attest.canonical import read_json
from attest.errors import Malformed
from kbs.access import Concern
from kbs.consent import claimed_in
from kbs.domain import InvalidName, ResourcePath
from kbs.store.repository import Repository


class Asked:
    """path, query: their parameters. body: raw. his: the owners of whoever asks."""

    def __init__(
        self,
        path: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes,
        his: frozenset[str] = frozenset(),
    ) -> None:
        self.path = path
        self.query = query
        self.his = his
        self._body = body

    @property
    def body(self) -> Mapping[str, Any]:
        """Empty for what is no object: the route itself refuses that."""
        try:
            found = read_json(self._body, where="body", limit=2 << 20)
        except Malformed:
            return {}
        return found if isinstance(found, dict) else {}


def owners_of_request(concern: Concern, asked: Asked, tx: Repository) -> frozenset[str]:
    """Empty where it is nobody's, or cannot be told: then it is no owner's."""
    return frozenset(one for one in _CONCERNS[concern](asked, tx) if isinstance(one, str))


def _of_secret(asked: Asked, tx: Repository) -> Iterable[object]:
    """Of one that is there, its owners. One that is put first is whose place it is, where he names nobody besides himself:
    who agrees to a release is nobody's to say for others."""
    text = "/".join(asked.path[name] for name in ("repository", "kind", "tag"))
    names = _owners(tx, text)
    if names:
        return names
    named = {one for one in _texts(asked.body.get("owners")) if isinstance(one, str)}
    try:
        path = ResourcePath.parse(text)
    except InvalidName:
        return ()
    owners = [tx.registry.owner(name) for name in named & asked.his]
    starts = any(owner is not None and owner.starts(path) for owner in owners)
    return named if named <= asked.his and starts else ()


def _of_revoked(asked: Asked, tx: Repository) -> Iterable[object]:
    value = str(asked.body.get("value"))
    if asked.body.get("kind") == "secret":
        return _owners(tx, value)
    if asked.body.get("kind") == "version":
        return _owners(tx, value.rpartition("@")[0])
    return ()


def _of_signed(asked: Asked, tx: Repository) -> Iterable[object]:
    try:
        return [claimed_in(base64.b64decode(str(asked.body.get("document")), validate=True)).owner]
    except (Malformed, binascii.Error, ValueError):
        return ()


def _of_rule(asked: Asked, tx: Repository) -> Iterable[object]:
    return [rule.owner for rule in tx.registry.rules() if str(rule.id) == asked.path["rule_id"]]


def _of_decision(asked: Asked, tx: Repository) -> Iterable[object]:
    """The owners of all secrets that it was about: of a session, only those every decision was about."""
    what = asked.path["what"]
    if len(what) != 64:
        row = tx.audit.by_reason(what)
        rows = [] if row is None else [row.content]
    else:
        rows = [row.content for row in tx.audit.rows(session=what)]
        wanted = asked.query.get("path")
        rows = [said for said in rows if said.get("resource") and wanted in (None, said["resource"])]
    sets = [frozenset(_owners(tx, path)) for path in {str(said.get("resource")) for said in rows}]
    return frozenset.intersection(*sets) if sets else ()


def _owners(tx: Repository, path: str) -> tuple[str, ...]:
    try:
        return tx.registry.owners_of(ResourcePath.parse(path))
    except InvalidName:
        return ()


def _texts(value: object) -> list[object]:
    return value if isinstance(value, list) else []


_CONCERNS: Final[Mapping[Concern, Callable[[Asked, Repository], Iterable[object]]]] = {
    "owner in the body": lambda asked, tx: [asked.body.get("owner")],
    "owner asked for": lambda asked, tx: [asked.query.get("owner")],
    "the rule's owner": _of_rule,
    "the secret's owners": _of_secret,
    "the owners of the secret in the body": lambda asked, tx: _owners(tx, str(asked.body.get("path"))),
    "the owners of what is revoked": _of_revoked,
    "who signed": _of_signed,
    "the decision's owners": _of_decision,
}
