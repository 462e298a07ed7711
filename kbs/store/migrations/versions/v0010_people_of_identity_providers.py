"""principals who sign in by an identity provider"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("principals", schema=None) as batch_op:
        batch_op.alter_column("key_hash", existing_type=sa.LargeBinary(length=32), nullable=True)
        batch_op.add_column(sa.Column("provider", sa.String(length=31), nullable=True))
        batch_op.add_column(sa.Column("subject", sa.String(length=255), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_principals_provider_subject"), ["provider", "subject"])


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM principals WHERE key_hash IS NULL"))
    with op.batch_alter_table("principals", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("uq_principals_provider_subject"), type_="unique")
        batch_op.drop_column("subject")
        batch_op.drop_column("provider")
        batch_op.alter_column("key_hash", existing_type=sa.LargeBinary(length=32), nullable=False)
