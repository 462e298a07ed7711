"""where an owner's own key puts first secrets"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("owners", sa.Column("paths", sa.Text(), server_default="[]", nullable=False))


def downgrade() -> None:
    # Not by a table made anew: others refer to these rows.
    op.execute(sa.text("ALTER TABLE owners DROP COLUMN paths"))
