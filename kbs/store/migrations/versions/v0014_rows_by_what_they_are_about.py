"""rows of the trail by session, path and time"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

AT_ONCE = 1000


def upgrade() -> None:
    op.add_column("audit", sa.Column("session", sa.String(length=64), nullable=True))
    op.add_column("audit", sa.Column("path", sa.String(length=400), nullable=True))
    op.add_column("audit", sa.Column("at", sa.BigInteger(), nullable=True))
    _mark(op.get_bind())
    op.create_index("ix_audit_session", "audit", ["session", "number"], unique=False)
    op.create_index("ix_audit_path", "audit", ["path", "number"], unique=False)
    op.create_index("ix_audit_path_at", "audit", ["path", "at"], unique=False)


def _mark(connection: sa.Connection) -> None:
    """A few rows at a time: the trail is the largest of the tables."""
    read = sa.text("SELECT number, body FROM audit WHERE number > :after ORDER BY number LIMIT :most")
    write = sa.text("UPDATE audit SET session = :session, path = :path, at = :at WHERE number = :number")
    after = 0
    while rows := connection.execute(read, {"after": after, "most": AT_ONCE}).all():
        connection.execute(write, [{"number": number, **_marks(body)} for number, body in rows])
        after = rows[-1][0]


def _marks(body: bytes | str) -> dict[str, Any]:
    """None for all of a row that was damaged: the proof of the trail says so, not the migration."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        said = {}
    session, path = said.get("session"), said.get("resource", said.get("path"))
    try:
        at = int(datetime.strptime(said["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except (KeyError, TypeError, ValueError):
        at = None
    return {
        "session": session if isinstance(session, str) and re.fullmatch("[0-9a-f]{64}", session) else None,
        "path": path if isinstance(path, str) and len(path) <= 400 else None,
        "at": at,
    }


def downgrade() -> None:
    for index in ("ix_audit_path_at", "ix_audit_path", "ix_audit_session"):
        op.drop_index(index, "audit")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        for column in ("at", "path", "session"):
            batch_op.drop_column(column)
