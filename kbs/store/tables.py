"""The tables. Instants are whole seconds since 1970 in UTC; no secret and no cookie stands here in clear.

A change here comes with a migration; a test compares both.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

principals = Table(
    "principals",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("key_hash", LargeBinary(32), nullable=True, unique=True),
    Column("created", BigInteger, nullable=False),
    Column("role", String(20), nullable=False, server_default="administrator"),
    Column("owners", Text, nullable=False, server_default="[]"),
    Column("expires", BigInteger, nullable=True),
    Column("provider", String(31), nullable=True),
    Column("subject", String(255), nullable=True),
    Column("former_hash", LargeBinary(32), nullable=True),
    Column("former_ends", BigInteger, nullable=True),
    Column("used", BigInteger, nullable=True),
    UniqueConstraint("provider", "subject"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("by", String(64), nullable=False),
    Column("method", String(8), nullable=False),
    Column("template", String(200), nullable=False),
    Column("path", String(600), nullable=False),
    Column("owners", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("agreed", String(64), nullable=True),
    Column("said", Text, nullable=False, server_default=""),
    Column("role", String(20), nullable=True),
)

owners = Table(
    "owners",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("paths", Text, nullable=False, server_default="[]"),
    Column("sequence", BigInteger, nullable=False, server_default="0"),
    Column("releases_an_hour", BigInteger, nullable=True),
)

rules = Table(
    "rules",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("owner", ForeignKey("owners.name"), nullable=False),
    Column("pattern", String(400), nullable=False),
    Column("policy", Text, nullable=False),
    Column("digest", String(160), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("changed", BigInteger, nullable=False),
    UniqueConstraint("owner", "pattern"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("path", String(400), primary_key=True),
    Column("last_version", Integer, nullable=False),
    Column("current_version", Integer, nullable=True),
    Column("created", BigInteger, nullable=False),
    CheckConstraint("current_version IS NULL OR current_version <= last_version", name="current_is_known"),
)

secret_owners = Table(
    "secret_owners",
    metadata,
    Column("path", ForeignKey("secrets.path"), primary_key=True),
    Column("owner", ForeignKey("owners.name"), primary_key=True),
)

secret_versions = Table(
    "secret_versions",
    metadata,
    Column("path", ForeignKey("secrets.path"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("iv", LargeBinary(12), nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("terms", Text, nullable=False, server_default="{}"),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("overlaps", BigInteger, nullable=True),
)

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("holder", LargeBinary(32), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Index("ix_console_sessions_expires", "expires"),
)

counts = Table(
    "counts",
    metadata,
    Column("name", String(500), primary_key=True),
    Column("given", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("audit", BigInteger, primary_key=True, autoincrement=False),
    Column("session", LargeBinary(32), nullable=False),
    Column("path", String(400), nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", String(64), nullable=False),
    Column("given", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("machine", String(64), nullable=False, server_default=""),
    Column("platforms", Text, nullable=False, server_default="[]"),
    Column("renewed", BigInteger, nullable=True),
    Index("ix_leases_ends", "ends"),
    Index("ix_leases_machine", "machine", "path"),
)

revocations = Table(
    "revocations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("value", String(520), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("lifted", BigInteger, nullable=True),
    Column("role", String(20), nullable=False, server_default="operator"),
)

broker = Table(
    "broker",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("tag", String(32), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

stops = Table(
    "stops",
    metadata,
    Column("owner", String(63), primary_key=True),
    Column("role", String(20), primary_key=True),
    Column("reason", Text, nullable=False),
)

consent_keys = Table(
    "consent_keys",
    metadata,
    Column("owner", ForeignKey("owners.name"), primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

consents = Table(
    "consents",
    metadata,
    Column("owner", ForeignKey("owners.name"), primary_key=True),
    Column("path", String(400), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

challenges = Table(
    "challenges",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("tee", String(32), nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("nonce", String(64), nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("consumed", BigInteger, nullable=True),
    Column("body", LargeBinary(32), nullable=True),
    Column("answer", Text, nullable=True),
    Index("ix_challenges_expires", "expires"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("tee", String(32), nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("key", Text, nullable=False),
    Column("attested", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("collateral", String(64), nullable=False),
    Column("token_id", String(64), nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_sessions_expires", "expires"),
)

kept_sessions = Table(
    "kept_sessions",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("tee", String(32), nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("key", Text, nullable=False),
    Column("attested", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("collateral", String(64), nullable=False),
    Column("token_id", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("until", BigInteger, nullable=False),
    Index("ix_kept_sessions_until", "until"),
)

kept_evidence = Table(
    "kept_evidence",
    metadata,
    Column("session", LargeBinary(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("until", BigInteger, nullable=False),
    Index("ix_kept_evidence_until", "until"),
)

releases = Table(
    "releases",
    metadata,
    Column("session", LargeBinary(32), primary_key=True),
    Column("path", String(400), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key", String(64), primary_key=True),
    Column("audit", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Index("ix_releases_expires", "expires"),
)

collateral_memory = Table(
    "collateral_memory",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
    Column("lists", Text, nullable=False, server_default="{}"),
    CheckConstraint("id = 1", name="one_row"),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", String(32), nullable=True, index=True),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("session", String(64), nullable=True),
    Column("path", String(400), nullable=True),
    Column("at", BigInteger, nullable=True),
    Index("ix_audit_session", "session", "number"),
    Index("ix_audit_path", "path", "number"),
    Index("ix_audit_path_at", "path", "at"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
