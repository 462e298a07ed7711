"""roles"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Whoever administered could do everything, and goes on so until somebody says otherwise."""
    op.add_column(
        "principals",
        sa.Column("role", sa.String(length=20), server_default="administrator", nullable=False),
    )
    op.add_column("principals", sa.Column("owners", sa.Text(), server_default="[]", nullable=False))
    op.add_column("principals", sa.Column("expires", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for column in ("expires", "owners", "role"):
        with op.batch_alter_table("principals", schema=None) as batch_op:
            batch_op.drop_column(column)
