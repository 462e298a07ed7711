"""the key before a principal's, the day he was last here, and how much an owner may release in an hour"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("principals", schema=None) as batch_op:
        batch_op.add_column(sa.Column("former_hash", sa.LargeBinary(length=32), nullable=True))
        batch_op.add_column(sa.Column("former_ends", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("used", sa.BigInteger(), nullable=True))
    op.add_column("owners", sa.Column("releases_an_hour", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    # Not by a table made anew: others refer to these rows.
    op.execute(sa.text("ALTER TABLE owners DROP COLUMN releases_an_hour"))
    with op.batch_alter_table("principals", schema=None) as batch_op:
        batch_op.drop_column("used")
        batch_op.drop_column("former_ends")
        batch_op.drop_column("former_hash")
