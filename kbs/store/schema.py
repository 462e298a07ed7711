"""The schema's versions: bringing a database to this program's, and refusing any other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

MIGRATIONS: Final = Path(__file__).parent / "migrations"


class SchemaMismatch(Exception):
    """The database is of another version than this program."""


def bring(connection: Connection, to: str = "head") -> None:
    """Bring the schema to version `to`; does nothing where it is there already.

    Raises SchemaMismatch for a database of a program that came later.
    """
    from alembic import command
    from alembic.config import Config

    _require_known(current(connection))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def current(connection: Connection) -> str | None:
    """The version that the database is at; None where nothing was made in it."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def versions() -> list[str]:
    """Every version that this program knows, oldest first."""
    return [script.revision for script in _scripts().walk_revisions()][::-1]


def require_current(connection: Connection) -> None:
    """Raises SchemaMismatch."""
    found, wanted = current(connection), _scripts().get_current_head()
    _require_known(found)
    if found != wanted:
        raise SchemaMismatch(f"the database is at schema {found or 'none'}, this program wants {wanted}")


def _require_known(found: str | None) -> None:
    if found is not None and found not in versions():
        raise SchemaMismatch(
            f"the database is at schema {found}, which came after this program: use the program that made it so"
        )


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(MIGRATIONS))
