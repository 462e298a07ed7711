"""whose leases, and which were renewed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("machine", sa.String(length=64), server_default="", nullable=False))
    op.add_column("leases", sa.Column("platforms", sa.Text(), server_default="[]", nullable=False))
    op.add_column("leases", sa.Column("renewed", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.create_index("ix_leases_machine", ["machine", "path"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.drop_index("ix_leases_machine")
        for column in ("renewed", "platforms", "machine"):
            batch_op.drop_column(column)
