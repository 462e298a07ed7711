"""by which role something was stopped or revoked"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stops",
        sa.Column("owner", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "role", name=op.f("pk_stops")),
    )
    # Nobody wrote down who stopped: an owner's key must not lift what may have been stopped against it.
    for owner, table in (("name", "owners"), ("''", "broker")):
        op.execute(
            sa.text(
                f"INSERT INTO stops (owner, role, reason) SELECT {owner}, 'operator', stopped"  # noqa: S608
                f" FROM {table} WHERE stopped IS NOT NULL"
            )
        )
        # Not by a table made anew: others refer to these rows.
        op.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN stopped"))
    op.add_column(
        "revocations", sa.Column("role", sa.String(length=20), server_default="operator", nullable=False)
    )


def downgrade() -> None:
    with op.batch_alter_table("revocations", schema=None) as batch_op:
        batch_op.drop_column("role")
    for owner, table in (("name", "owners"), ("''", "broker")):
        op.add_column(table, sa.Column("stopped", sa.Text(), nullable=True))
        op.execute(
            sa.text(
                f"UPDATE {table} SET stopped = (SELECT min(reason) FROM stops WHERE stops.owner = {owner})"  # noqa: S608
            )
        )
    op.drop_table("stops")
