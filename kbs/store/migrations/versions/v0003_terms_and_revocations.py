"""terms, consents, revocations, leases"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("owners", sa.Column("stopped", sa.Text(), nullable=True))
    op.add_column("owners", sa.Column("sequence", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("secret_versions", sa.Column("terms", sa.Text(), server_default="{}", nullable=False))
    op.add_column(
        "secret_versions", sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column("secret_versions", sa.Column("overlaps", sa.BigInteger(), nullable=True))
    op.add_column("collateral_memory", sa.Column("lists", sa.Text(), server_default="{}", nullable=False))
    memory = sa.table("collateral_memory", sa.column("content", sa.Text()), sa.column("lists", sa.Text()))
    for content in op.get_bind().execute(sa.select(memory.c.content)).scalars().all():
        op.execute(memory.update().values(lists=json.dumps(json.loads(content)["crls"])))
    op.create_table(
        "counts",
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counts")),
    )
    op.create_table(
        "leases",
        sa.Column("audit", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session", sa.LargeBinary(length=32), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("audit", name=op.f("pk_leases")),
    )
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.create_index("ix_leases_ends", ["ends"], unique=False)
    op.create_table(
        "revocations",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=520), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("lifted", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_revocations")),
    )
    op.create_table(
        "broker",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.String(length=32), nullable=False),
        sa.Column("stopped", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_broker_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broker")),
    )
    op.create_table(
        "consent_keys",
        sa.Column("owner", sa.String(length=63), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["owners.name"], name=op.f("fk_consent_keys_owner_owners")),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_consent_keys")),
    )
    op.create_table(
        "consents",
        sa.Column("owner", sa.String(length=63), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["owners.name"], name=op.f("fk_consents_owner_owners")),
        sa.PrimaryKeyConstraint("owner", "path", name=op.f("pk_consents")),
    )


def downgrade() -> None:
    for table in ("consents", "consent_keys", "broker", "revocations"):
        op.drop_table(table)
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.drop_index("ix_leases_ends")
    for table in ("leases", "counts"):
        op.drop_table(table)
    for table, column in (
        ("collateral_memory", "lists"),
        ("secret_versions", "overlaps"),
        ("secret_versions", "enabled"),
        ("secret_versions", "terms"),
        ("owners", "sequence"),
        ("owners", "stopped"),
    ):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column(column)
