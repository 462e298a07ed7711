"""Instants in the database: whole seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime


def to_row(value: datetime) -> int:
    return int(value.timestamp())


def from_row(value: int) -> datetime:
    return datetime.fromtimestamp(value, UTC)
