"""The emergency stop: in force until whoever may lift it does. No database, no web."""

from __future__ import annotations

from dataclasses import dataclass

from kbs.access import Role


@dataclass(frozen=True, slots=True)
class Stop:
    """owner: None for the whole broker. role: of whoever stopped."""

    owner: str | None
    role: Role
    reason: str


def may_lift(role: Role, made_by: Role) -> bool:
    """A protection is ended by the role that made it, or by an administrator: an owner's stolen key ends none that an
    operator made against it, and an operator none that an owner made for himself (T-LASTWRITER)."""
    return role in ("administrator", made_by)
