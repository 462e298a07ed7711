"""what is agreed to, in words, and about whom"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM approvals"))  # they last a day, and did not say what they were about
    op.add_column("approvals", sa.Column("said", sa.Text(), server_default="", nullable=False))
    op.add_column("approvals", sa.Column("role", sa.String(length=20), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.drop_column("role")
        batch_op.drop_column("said")
