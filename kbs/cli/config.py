"""`kbs config`: what a configuration may say, and whether a file says it right."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbs.cli.admin_client import read_input
from kbs.cli.configured import told

if TYPE_CHECKING:
    from kbs.config import Config

_LIMIT = 256 << 10


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "config",
        help="check a configuration, or show its keys",
        description="The configuration that `kbs serve --config FILE` reads.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="is this file right, and is everything there that it names?",
        description="Read FILE, and the files that it names, as `kbs serve` would, without serving: keys and "
        "database are left alone. Status 0 when all is right, 2 with every fault and its line when not.",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="print what holds, defaults included, as JSON")
    check.add_argument(
        "--connect", action="store_true", help="ask the database, too: does it answer, is the broker in it?"
    )
    check.set_defaults(run=_check)
    show = actions.add_parser(
        "show", help="every key with its default and meaning", description="Every key, default and meaning."
    )
    show.add_argument("--schema", action="store_true", help="as JSON Schema, for editors")
    show.set_defaults(run=_show)


def _check(args: argparse.Namespace) -> int:
    from kbs.cli.admin_client import CommandError
    from kbs.config import InvalidConfig, read_config
    from kbs.service import read_files

    try:
        config = read_config(read_input(args.file, _LIMIT), args.file)
    except CommandError as error:
        print(f"kbs config check: {error}", file=sys.stderr)
        return error.status
    except InvalidConfig as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    with told("config check"):
        read_files(config)
        if args.connect:
            print(_answer(config), file=sys.stderr)
    if args.json:
        print(json.dumps(config.model_dump(mode="json", by_alias=True), indent=1))
    else:
        print(f"{args.file}: right")
    return 0


def _answer(config: Config) -> str:
    """What the database says. Raises Unavailable, KeyStoreError and SchemaMismatch."""
    from kbs.service import database_address
    from kbs.store.database import connected, whole
    from kbs.store.kinds import Purpose
    from kbs.store.schema import current, versions

    address = database_address(config)
    with connected(address) as database:
        found = whole(database, Purpose.READ, current)
        said = f"{address} answers: {database.describe()}"
    if found is None:
        return f"{said}, and has no broker yet: kbs init"
    if found not in versions():
        return f"{said}, schema {found}, which came after this program"
    return f"{said}, schema {found}{'' if found == versions()[-1] else ', which kbs serve will migrate'}"


def _show(args: argparse.Namespace) -> int:
    from kbs.config import Config

    schema = Config.model_json_schema(by_alias=True)
    if args.schema:
        print(json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1))
        return 0
    for line in _lines(Config, ""):
        print(line)
    return 0


def _lines(model: Any, indent: str) -> Iterator[str]:
    """The sections as YAML with comments; what is not needed stands as a comment itself."""
    from kbs.config.section import is_list, kind_of, sections_of

    for name, field in model.model_fields.items():
        key = field.alias or name
        yield f"{indent}# {field.description}"
        below = sections_of(field.annotation)
        if name == "kind":
            yield f"{indent}{key}: {kind_of(model)}"
            continue
        if not below:
            default = "" if field.is_required() or field.default is None else f" {_yaml(field.default)}"
            yield f"{indent}{'' if field.is_required() else '# '}{key}:{default}"
            continue
        for kind in below:
            yield f"{indent}# {key}:{'  # a list, each with' if is_list(field.annotation) else ''}"
            yield from _lines(kind, f"{indent}#   ")


def _yaml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
