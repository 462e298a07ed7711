"""What was decided, explained by the rules of now, and what another policy would have said.

Rests on what machines proved as the broker kept it, sealed: nothing here can make a Verified, and nothing is released.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from attest import Denied, Malformed, Policy, Verified, appraise
from attest.claims import read_instant
from attest.result.answer import of_appraisal
from attest.result.tree import tree_of
from attest.result.tree_text import render_tree
from kbs.acts import Acts, named
from kbs.audit import AuditRow
from kbs.domain import PathPattern, ResourcePath, Rule, owner_name
from kbs.keys.ring import KeyRing
from kbs.policies import policy_of
from kbs.record_administration import Search
from kbs.refusals import Refusal
from kbs.sealed import opened
from kbs.store.database import Store
from kbs.store.repository import Repository

DECIDED: Final = ("released", "repeat", "release-denied")
_EXPLAINED: Final = 20
"""Decisions of one session that are explained at once, the newest."""
MOST: Final = 20_000
"""Decisions that one dry run judges."""
_GONE: Final = "what this machine proved is not kept any more (record.session-days), or came with a token of another verifier"


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A decision that would come out otherwise. now: released or denied. sentence: why, where the policy refuses."""

    row: int
    at: str
    session: str
    path: str
    was: str
    would: str
    sentence: str | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """decisions: about secrets under the path in that time. unknown: of them, those of which nothing is kept. more: whether
    there were too many."""

    since: datetime
    decisions: int
    unknown: int
    otherwise: tuple[Otherwise, ...]
    more: bool


class Foresight:
    """Raises Refusal."""

    def __init__(self, store: Store, keys: KeyRing, acts: Acts) -> None:
        self._store = store
        self._keys = keys
        self._acts = acts

    def why(self, what: str, path: str | None, *, every: bool) -> list[dict[str, Any]]:
        """The decisions behind a reason id, or about a session, each with its rules as trees."""

        def look(tx: Repository) -> list[tuple[AuditRow, list[Rule], Verified | None]]:
            rows = self._rows(tx, what, path)
            now = self._acts.now_in(tx)
            found = []
            for row in rows:
                resource = row.content.get("resource")
                rules = [] if resource is None else tx.registry.matching_rules(ResourcePath.parse(resource))
                found.append((row, rules, self._proved(tx, row, now)))
            return found

        return [_explained(row, rules, verified, every) for row, rules, verified in self._store.read(look)]

    def _rows(self, tx: Repository, what: str, path: str | None) -> list[AuditRow]:
        if len(what) != 64:
            row = tx.audit.by_reason(what)
            if row is None:
                raise Refusal(404, "ResourceNotFound", "no row has this reason")
            return [row]
        wanted = Search(path=path)
        return [row for row in tx.audit.rows(session=what) if wanted.holds(row)][-_EXPLAINED:]

    def _proved(self, tx: Repository, row: AuditRow, now: datetime) -> Verified | None:
        session_id = row.content.get("session")
        kept = tx.kept.session(bytes.fromhex(session_id)) if isinstance(session_id, str) else None
        return None if kept is None else opened(kept, self._keys.sessions(now))

    def dry_run(self, owner: str, path: str, text: str, days: int) -> DryRun:
        """What the decisions of the last `days` would have been, had `owner` this policy for `path`."""
        named(owner_name, owner)
        pattern = named(PathPattern.parse, path)
        try:
            policy = Policy.from_text(text, where=f"{owner}:{pattern}")
        except Malformed as error:
            sentences = "; ".join(problem.message for problem in error.problems)
            raise Refusal(400, "InvalidRequest", f"the policy does not load: {sentences}") from None
        if not 1 <= days <= 3650:
            raise Refusal(400, "InvalidRequest", "give 1 to 3650 days")

        def look(tx: Repository) -> DryRun:
            now = self._acts.now_in(tx)
            since = now - timedelta(days=days)
            decisions = unknown = 0
            found: list[Otherwise] = []
            for row, resource in _decisions(tx, owner, since, pattern):
                if decisions == MOST:
                    return DryRun(since, decisions, unknown, _in_order(found), True)
                decisions += 1
                verified = self._proved(tx, row, now)
                if verified is None:
                    unknown += 1
                    continue
                changed = _otherwise(row, resource, verified, policy)
                if changed is not None:
                    found.append(changed)
            return DryRun(since, decisions, unknown, _in_order(found), False)

        return self._store.read(look)

    def evidence(self, session: str) -> tuple[dict[str, Any], bytes]:
        """The row of a machine's attestation, and the attestation as it was sent: `evidence_replay` takes both."""

        def look(tx: Repository) -> tuple[dict[str, Any], bytes] | None:
            body = tx.kept.evidence(bytes.fromhex(session))
            if body is None:
                return None
            rows = (row.content for row in tx.audit.rows(session=session))
            return next(((said, body) for said in rows if said.get("event") == "attested"), None)

        found = self._store.read(look)
        if found is None:
            raise Refusal(
                404, "ResourceNotFound", "no evidence of this session is kept (record.evidence-days)"
            )
        return found


def _decisions(
    tx: Repository, owner: str, since: datetime, pattern: PathPattern
) -> Iterator[tuple[AuditRow, str]]:
    """Of secrets that are the owner's: a pattern may cover those of others, whose machines are not his to know."""
    for path in tx.registry.secrets_of(owner):
        if not pattern.matches(path):
            continue
        for row in tx.audit.of_path(str(path), since):
            said = row.content
            if said.get("event") in DECIDED and said.get("type") in (None, "PolicyDeny"):
                yield row, str(path)


def _in_order(found: list[Otherwise]) -> tuple[Otherwise, ...]:
    return tuple(sorted(found, key=lambda one: one.row))


def _otherwise(row: AuditRow, resource: str, verified: Verified, policy: Policy) -> Otherwise | None:
    said = row.content
    was = "denied" if said["event"] == "release-denied" else "released"
    sentence = None
    try:
        appraise(verified, policy, at=read_instant(said["at"])).require_release()
        would = "released"
    except Denied as denial:
        would, sentence = "denied", denial.problems[0].message
    if was == would:
        return None
    return Otherwise(row.number, said["at"], said["session"], resource, was, would, sentence)


def _explained(row: AuditRow, rules: list[Rule], verified: Verified | None, every: bool) -> dict[str, Any]:
    said = row.content
    asked = [*said.get("agreed", ()), *said.get("refusing", ())]
    then = {one["policy"] for one in asked if isinstance(one, dict)}
    shown = []
    for rule in rules if verified is not None else ():
        assert verified is not None
        policy = policy_of(rule)
        tree = tree_of(of_appraisal(appraise(verified, policy, at=read_instant(said["at"]))))
        shown.append(
            {
                "rule": rule.id,
                "owner": rule.owner,
                "path": str(rule.pattern),
                "policy": rule.digest,
                "then": not then or rule.digest in then,
                "tree": tree.as_dict(),
                "text": render_tree(tree, every=every),
            }
        )
    return {"row": said, "rules": shown, "unsaid": None if verified is not None or not rules else _GONE}
