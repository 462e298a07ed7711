"""Which database the broker keeps everything in."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from kbs.config.section import Named, Section

_FORMS = "postgresql://USER@HOST/DATABASE, postgresql://USER@/DATABASE?host=/SOCKET/FOLDER or sqlite:////PATH"


@dataclass(frozen=True, slots=True)
class Url:
    """What a database's URL says. host: None for SQLite, whose path is in `name`."""

    host: str | None
    name: str
    user: str | None = None
    port: int = 5432

    @classmethod
    def parse(cls, text: str) -> Url:
        """Raises ValueError."""
        try:
            parts = urlsplit(text)
            port, host, password = parts.port, parts.hostname, parts.password
        except ValueError:
            raise ValueError(f"is no URL of a database: {_FORMS}") from None
        if password is not None:
            raise ValueError("carries a password: put it into a file of its own, password-file")
        if parts.scheme == "sqlite" and not parts.netloc and parts.path.startswith("//") and not parts.query:
            return cls(None, unquote(parts.path[1:]))
        name = unquote(parts.path.removeprefix("/"))
        socket = parts.query.removeprefix("host=/") if parts.query.startswith("host=/") else None
        right = parts.scheme == "postgresql" and name and "/" not in name and not parts.fragment
        if not right or bool(host) == bool(socket) or (parts.query and socket is None):
            raise ValueError(f"is no URL of a database: {_FORMS}")
        where = host or f"/{unquote(socket or '')}"
        return cls(where, name, unquote(parts.username) if parts.username else None, port or 5432)

    @property
    def on_this_machine(self) -> bool:
        if self.host is None or self.host.startswith("/") or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def _url(text: str) -> str:
    Url.parse(text)
    return text


class DatabaseTls(Section):
    """The server's certificate must be of this CA and of the host's name."""

    ca: Named = Field(description="The CA of the server's certificate, PEM.")
    certificate: Named | None = Field(
        default=None, description="The broker's own certificate for the server, PEM."
    )
    key: Named | None = Field(
        default=None, description="Its key, PEM, not encrypted, readable by its owner alone."
    )

    @model_validator(mode="after")
    def _both(self) -> DatabaseTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate goes with its key: give both or none")
        return self


class Database(Section):
    """SQLite for one machine, PostgreSQL for replicas."""

    url: Annotated[str, AfterValidator(_url)] | None = Field(
        default=None,
        description=f"{_FORMS}; none is the file broker.db in the state folder.",
    )
    password_file: Named | None = Field(
        default=None, description="A file with the user's password alone, readable by its owner alone."
    )
    tls: DatabaseTls | None = Field(
        default=None, description="Needed for a server that is on another machine."
    )
    connections: int = Field(
        default=10, ge=1, le=1000, description="Connections of one replica to PostgreSQL, at most."
    )
    wait_seconds: int = Field(
        default=10,
        ge=1,
        le=600,
        description="How long to wait for a connection, and for others' writes to end.",
    )
    statement_seconds: int = Field(
        default=30, ge=1, le=3600, description="How long PostgreSQL may take for one statement."
    )

    @model_validator(mode="after")
    def _fits(self) -> Database:
        url = None if self.url is None else Url.parse(self.url)
        server = url is not None and url.host is not None
        if not server and (self.tls is not None or self.password_file is not None):
            raise ValueError("password-file and tls are for PostgreSQL: SQLite asks nobody")
        if url is not None and not url.on_this_machine and self.tls is None:
            raise ValueError(f"{url.host} is another machine: name its CA, tls: {{ca: FILE}}")
        return self
