"""`kbs secret`: put, list and delete secrets. No command shows one: only attested machines get them."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command, read_input
from kbs.cli.consent import read_documents
from kbs.domain import InvalidName, PathPattern, ResourcePath

_LIMIT = 1 << 20
_EXAMPLES = """\
examples:
  kbs secret put acme/key/model FILE --owner acme
  kbs secret put acme/key/model FILE --owner acme --overlap 600            sessions with the version before keep it so long
  kbs secret put acme/key/model FILE --owner acme --once --not-after 2099-01-31T00:00:00Z
  kbs secret generate acme/key/made --owner acme --bytes 32 --lease 3600   nobody sees it but machines that conform
  kbs secret versions acme/key/model
  kbs secret disable acme/key/model 1
  kbs secret destroy acme/key/model 1                                      the number is never used again"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "secret",
        help="put, list, delete secrets",
        description="Secrets, encrypted at rest. No command shows one: only attested machines get them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    put = actions.add_parser(
        "put",
        help="a new version of a secret, current at once",
        description="Put a new version of a secret. The first one fixes the set of owners: all must agree.",
    )
    put.add_argument("path", help="repository/type/tag")
    put.add_argument("file", type=Path, help="its content, - for standard input")
    put.add_argument(
        "--owner", action="append", required=True, dest="owners", help="once an owner; the set is fixed"
    )
    _terms(put)
    put.set_defaults(run=command("secret put", _put))

    generate = actions.add_parser(
        "generate",
        help="a new version that the broker makes",
        description="A new version of random bytes that nobody ever sees but machines that conform.",
    )
    generate.add_argument("path", help="repository/type/tag")
    generate.add_argument(
        "--bytes", type=int, default=32, metavar="N", dest="size", help="16 to 4096; 32 unless given"
    )
    generate.add_argument(
        "--owner", action="append", required=True, dest="owners", help="once an owner; the set is fixed"
    )
    _terms(generate)
    generate.set_defaults(run=command("secret generate", _generate))

    for name, act, about in (
        ("enable", _enable, "release a version again"),
        ("disable", _disable, "a version is not released any more, until it is enabled"),
        ("destroy", _destroy, "overwrite a version; backups and what machines have are not touched"),
    ):
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        action.add_argument("path", help="repository/type/tag")
        action.add_argument("version", type=int, help="as kbs secret versions shows it")
        add_connection(action)
        action.set_defaults(run=command(f"secret {name}", act))

    owners = actions.add_parser(
        "owners",
        help="other owners, with everybody's consent",
        description="Change the set of owners. Every owner of now agrees by a document, kbs consent owners, that its people "
        "signed. The content becomes a new version.",
    )
    owners.add_argument("path", help="repository/type/tag")
    owners.add_argument(
        "--to", action="append", required=True, metavar="OWNER", help="the new owners; once each"
    )
    owners.add_argument(
        "--consent", action="append", required=True, type=Path, metavar="FILE", help="once an owner of now"
    )
    add_connection(owners)
    owners.set_defaults(run=command("secret owners", _owners))

    listing = actions.add_parser(
        "list", help="all secrets, without content", description="All secrets, without content."
    )
    listing.add_argument("--owner", help="only this owner's; needed with an owner's key")
    add_connection(listing)
    listing.set_defaults(run=command("secret list", _list))

    for name, act, about in (
        ("delete", _delete, "remove every version"),
        ("versions", _versions, "versions that are kept"),
    ):
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        action.add_argument("path", help="repository/type/tag")
        add_connection(action)
        action.set_defaults(run=command(f"secret {name}", act))


def _put(args: argparse.Namespace) -> None:
    path = _path(args)
    value = base64.b64encode(read_input(args.file, _LIMIT)).decode()
    _new_version(args, path, {"value": value})


def _generate(args: argparse.Namespace) -> None:
    _new_version(args, _path(args), {"generate": args.size})


def _new_version(args: argparse.Namespace, path: ResourcePath, content: dict[str, Any]) -> None:
    request = {"owners": args.owners, "terms": _given_terms(args), "overlap_seconds": args.overlap, **content}
    answer = ask(args, "PUT", f"secrets/{path}", json=request)
    print(
        json.dumps(answer, indent=1) if args.json else f"secret {answer['path']}: version {answer['version']}"
    )
    _warn_of_missing_rules(args, path)


def _terms(parser: argparse.ArgumentParser) -> None:
    terms = parser.add_argument_group("terms of this version, sealed with it")
    terms.add_argument(
        "--once", action="store_true", help="release it one time; a lost answer can be had again"
    )
    terms.add_argument("--max", type=int, metavar="N", help="release it at most N times")
    terms.add_argument("--not-before", metavar="INSTANT", help="as 2026-12-31T18:00:00Z")
    terms.add_argument("--not-after", metavar="INSTANT", help="as 2027-01-31T00:00:00Z")
    terms.add_argument(
        "--within", type=int, metavar="SECONDS", help="after the first release, others for so long only"
    )
    terms.add_argument(
        "--lease",
        type=int,
        metavar="SECONDS",
        help="how long a machine may use it before it attests anew; erases nothing",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        default=0,
        metavar="SECONDS",
        help="for so long, sessions that have the version before get that one again",
    )
    add_connection(parser)


def _given_terms(args: argparse.Namespace) -> dict[str, Any]:
    from kbs.terms import InvalidTerms, Terms

    if args.once and args.max is not None:
        raise CommandError(2, "give --once or --max, not both")
    terms = {
        "max-releases": 1 if args.once else args.max,
        "not-before": args.not_before,
        "not-after": args.not_after,
        "seconds-from-first": args.within,
        "lease-seconds": args.lease,
    }
    given = {name: value for name, value in terms.items() if value is not None}
    try:
        Terms.parse(given)
    except InvalidTerms as error:
        raise CommandError(2, str(error)) from None
    return given


def _enable(args: argparse.Namespace) -> None:
    _show_state(args, ask(args, "PATCH", _version_of(args), json={"enabled": True}), "enabled")


def _disable(args: argparse.Namespace) -> None:
    _show_state(args, ask(args, "PATCH", _version_of(args), json={"enabled": False}), "disabled")


def _destroy(args: argparse.Namespace) -> None:
    _show_state(
        args,
        ask(args, "DELETE", _version_of(args)),
        "destroyed here; not in backups, nor where a machine has it",
    )


def _version_of(args: argparse.Namespace) -> str:
    if args.version < 1:
        raise CommandError(2, "a version's number is 1 or more")
    return f"secrets/{_path(args)}/versions/{args.version}"


def _show_state(args: argparse.Namespace, answer: dict[str, Any], state: str) -> None:
    if args.json:
        print(json.dumps(answer, indent=1))
    else:
        print(f"secret {answer['path']} version {answer['version']}: {state}")


def _owners(args: argparse.Namespace) -> None:
    documents = read_documents(args.consent)
    request = {"path": str(_path(args)), "owners": args.to, "documents": documents}
    answer = ask(args, "POST", "consents/owners", json=request)
    if args.json:
        print(json.dumps(answer, indent=1))
    else:
        print(f"secret {answer['path']}: owners {', '.join(answer['owners'])}, version {answer['version']}")


def _warn_of_missing_rules(args: argparse.Namespace, path: ResourcePath) -> None:
    """The secret is there, but an owner without an enabled rule agrees to nothing."""
    for owner in sorted(set(args.owners)):
        try:
            rules = ask(args, "GET", "rules", params={"owner": owner})
        except CommandError:
            continue  # another owner's rules are not shown to this key
        if any(rule["enabled"] and PathPattern.parse(rule["path"]).matches(path) for rule in rules):
            continue
        print(
            f"kbs secret put: nobody will get it until {owner} has an enabled policy for it: "
            f"kbs policy put FILE --owner {owner} --path {path}",
            file=sys.stderr,
        )


def _list(args: argparse.Namespace) -> None:
    secrets = ask(args, "GET", "secrets", params={"owner": args.owner} if args.owner else {})
    if args.json:
        print(json.dumps(secrets, indent=1))
        return
    for secret in secrets:
        state = "deleted" if secret["version"] is None else f"version {secret['version']}"
        print(f"secret {secret['path']}: {state}, owners {', '.join(secret['owners'])}")


def _delete(args: argparse.Namespace) -> None:
    answer = ask(args, "DELETE", f"secrets/{_path(args)}")
    print(json.dumps(answer, indent=1) if args.json else f"secret {answer['path']}: deleted")


def _versions(args: argparse.Namespace) -> None:
    versions = ask(args, "GET", f"secrets/{_path(args)}/versions")
    if args.json:
        print(json.dumps(versions, indent=1))
        return
    for version in versions:
        terms = ", ".join(f"{name} {value}" for name, value in version["terms"].items())
        print(
            f"version {version['version']}: {version['created']}, {version['state']}, released {version['given']} times"
            + (f", {terms}" if terms else "")
            + (f", overlaps until {version['overlaps']}" if version["overlaps"] else "")
        )


def _path(args: argparse.Namespace) -> ResourcePath:
    try:
        return ResourcePath.parse(args.path)
    except InvalidName as error:
        raise CommandError(2, str(error)) from None
