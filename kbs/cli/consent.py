"""`kbs consent`: what an owner's people sign before a secret is released."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command, read_input

_LIMIT = 64 << 10
_EXAMPLES = """\
the way of a consent:
  kbs consent keys --owner acme --key ann.pub --key bob.pub --threshold 2 --path 'acme/*' -o keys.json
  kbs consent sign keys.json --key ann.key      each of acme's people, on a machine of his own
  kbs consent sign keys.json --key bob.key
  kbs consent put keys.json                     from now on acme's secrets need two of these signatures

  kbs consent prepare acme/key/model --owner acme --expires 2099-01-31T00:00:00Z --max 5 -o consent.json
  kbs consent show consent.json                 what one is about to sign, in words; needs no broker
  kbs consent sign consent.json --key ann.key
  kbs consent sign consent.json --key bob.key
  kbs consent put consent.json
  kbs consent list
  kbs consent withdraw acme/key/model --owner acme      in force at the next request

A consent is for one version of the secret under exactly the policies of now: whatever changes voids it. Keys are
Ed25519 or ECDSA on P-256 or P-384, PEM, and sign nothing else:
  openssl genpkey -algorithm ed25519 -out ann.key
  openssl pkey -in ann.key -pubout -out ann.pub
Who administers the broker can carry a consent and cannot make one."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "consent",
        help="signed consents to releases: prepare, sign, put, withdraw",
        description="Consents: M of N keys of an owner agree to the release of one version of a secret.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    prepare = actions.add_parser(
        "prepare",
        help="the document to sign, for a release",
        description="Write the document that an owner's people sign: this version, under the policies of now.",
    )
    prepare.add_argument("path", help="repository/type/tag")
    prepare.add_argument("--owner", required=True)
    prepare.add_argument("--max", type=int, metavar="N", help="at most N releases; no limit unless given")
    prepare.add_argument("--not-before", metavar="INSTANT", help="as 2026-12-31T18:00:00Z")
    prepare.add_argument("--expires", required=True, metavar="INSTANT", help="as 2027-01-31T00:00:00Z")
    _written(prepare)
    prepare.set_defaults(run=command("consent prepare", _prepare))

    keys = actions.add_parser(
        "keys",
        help="the document to sign, for an owner's keys",
        description="Write the document that names an owner's keys. All keys of before, as many as were needed, and as "
        "many of the new ones sign it. Without --key it ends the need for consents.",
    )
    keys.add_argument("--owner", required=True)
    keys.add_argument(
        "--key",
        action="append",
        default=[],
        type=Path,
        dest="public",
        metavar="PEM",
        help="a public key; once each",
    )
    keys.add_argument(
        "--threshold", type=int, default=0, metavar="M", help="how many must sign; all unless given"
    )
    keys.add_argument(
        "--path",
        action="append",
        default=[],
        dest="paths",
        metavar="PATTERN",
        help="secrets that need it, as 'acme/*'",
    )
    _written(keys)
    keys.set_defaults(run=command("consent keys", _keys))

    owners = actions.add_parser(
        "owners",
        help="the document to sign, for other owners of a secret",
        description="Write the document by which one owner agrees to other owners of a secret; kbs secret owners takes them.",
    )
    owners.add_argument("path", help="repository/type/tag")
    owners.add_argument("--owner", required=True, help="who agrees")
    owners.add_argument(
        "--to", action="append", required=True, metavar="OWNER", help="the new owners; once each"
    )
    _written(owners)
    owners.set_defaults(run=command("consent owners", _owners))

    show = actions.add_parser(
        "show", help="what a document says, in words", description="What a document says, in words."
    )
    show.add_argument("file", type=Path)
    show.add_argument("--json", action="store_true", help="what is signed, and the keys that say they signed")
    show.set_defaults(run=command("consent show", _show_file))

    sign = actions.add_parser(
        "sign",
        help="add a signature; needs no broker",
        description="Add a signature to a document; needs no broker.",
    )
    sign.add_argument("file", type=Path, help="it is written in place")
    sign.add_argument("--key", type=Path, required=True, metavar="PEM", help="the private key, not encrypted")
    sign.set_defaults(run=command("consent sign", _sign))

    put = actions.add_parser(
        "put", help="hand a signed document to the broker", description="Hand in a signed document."
    )
    put.add_argument("file", type=Path)
    add_connection(put)
    put.set_defaults(run=command("consent put", _put))

    listing = actions.add_parser(
        "list",
        help="consents, and what is wanting",
        description="Consents that were put, and what is wanting of each now.",
    )
    listing.add_argument("--owner", help="only this owner's; needed with an owner's key")
    add_connection(listing)
    listing.set_defaults(run=command("consent list", _list))

    withdraw = actions.add_parser(
        "withdraw",
        help="end a consent",
        description="End a consent: nothing is released on it from the next request on.",
    )
    withdraw.add_argument("path", help="repository/type/tag")
    withdraw.add_argument("--owner", required=True)
    add_connection(withdraw)
    withdraw.set_defaults(run=command("consent withdraw", _withdraw))


def _written(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="a new file, to be signed"
    )
    add_connection(parser)


def _prepare(args: argparse.Namespace) -> None:
    now = ask(args, "GET", "consents/in-force", params={"owner": args.owner, "path": args.path})
    if now["version"] is None:
        raise CommandError(1, f"there is no secret {args.path}: put it first")
    _write(
        args,
        {
            **_head(now, "release"),
            "path": now["path"],
            "version": str(now["version"]),
            "policies": now["policies"],
            "max-releases": None if args.max is None else str(args.max),
            "not-before": args.not_before,
            "expires": args.expires,
        },
    )


def _keys(args: argparse.Namespace) -> None:
    now = ask(args, "GET", "consents/in-force", params={"owner": args.owner})
    keys = [read_input(file, _LIMIT).decode("ascii", "replace").replace("\r\n", "\n") for file in args.public]
    _write(
        args,
        {
            **_head(now, "keys"),
            "threshold": str(args.threshold or len(keys)),
            "keys": keys,
            "paths": args.paths if keys else [],
        },
    )


def _owners(args: argparse.Namespace) -> None:
    now = ask(args, "GET", "consents/in-force", params={"owner": args.owner, "path": args.path})
    _write(args, {**_head(now, "owners"), "path": now["path"], "owners": sorted(set(args.to))})


def _head(now: dict[str, Any], act: str) -> dict[str, Any]:
    return {"act": act, "broker": now["broker"], "owner": now["owner"], "sequence": str(now["sequence"])}


def _write(args: argparse.Namespace, document: dict[str, Any]) -> None:
    output: Path = args.output
    from attest.canonical import canonical
    from attest.dsse import media_type
    from attest.errors import Malformed
    from attest.outputs import write_file
    from kbs.consent import parse

    payload = canonical(document)
    try:
        said = parse(payload)
        if output.exists():
            raise CommandError(
                2, f"{output} exists: a document that others may have signed is not written over"
            )
        envelope = {
            "payloadType": media_type("consent"),
            "payload": base64.b64encode(payload).decode(),
            "signatures": [],
        }
        write_file("-o", output, json.dumps(envelope, indent=1).encode() + b"\n")
    except Malformed as error:
        raise CommandError(2, _sentence(error)) from None
    if args.json:
        print(json.dumps(json.loads(payload), indent=1))
        return
    _explain(json.loads(payload))
    print(
        f"written to {output}: each of {said.owner}'s people signs it, kbs consent sign {output} --key FILE"
    )


def _sign(args: argparse.Namespace) -> None:
    from attest.dsse import read_private_key, seal_envelope
    from attest.errors import Malformed
    from attest.outputs import write_file

    envelope = _envelope(args.file)
    try:
        key = read_private_key(read_input(args.key, _LIMIT))
    except ValueError as error:
        raise CommandError(2, f"{args.key}: {error}") from None
    payload = base64.b64decode(envelope["payload"])
    (added,) = json.loads(seal_envelope("consent", payload, key))["signatures"]
    others = [one for one in envelope["signatures"] if one.get("keyid") != added["keyid"]]
    envelope["signatures"] = [*others, added]
    try:
        write_file("FILE", args.file, json.dumps(envelope, indent=1).encode() + b"\n")
    except Malformed as error:
        raise CommandError(2, error.problems[0].message) from None
    _explain(json.loads(payload))
    print(f"signed by key {added['keyid'][:16]}…; {len(envelope['signatures'])} signatures in {args.file}")


def _show_file(args: argparse.Namespace) -> None:
    envelope = _envelope(args.file)
    said = json.loads(base64.b64decode(envelope["payload"]))
    if args.json:
        keys = [signature.get("keyid", "") for signature in envelope["signatures"]]
        print(json.dumps({"signed": said, "keys": keys}, indent=1))
        return
    _explain(said)
    for signature in envelope["signatures"]:
        print(f"  signature of key {signature.get('keyid', '')[:16]}… (not verified here)")


def _envelope(file: Path) -> dict[str, Any]:
    """A document with any number of signatures, whose payload reads as a consent. Raises CommandError."""
    from attest.canonical import read_json
    from attest.dsse import Envelope, media_type
    from attest.errors import Malformed
    from attest.strict_base64 import decode
    from kbs.consent import parse

    try:
        document = read_json(read_input(file, _LIMIT), where=str(file), limit=_LIMIT)
        if not isinstance(document, dict) or set(document) != {"payloadType", "payload", "signatures"}:
            raise CommandError(2, f"{file} is no document of kbs consent prepare, keys or owners")
        if document["payloadType"] != media_type("consent") or not isinstance(document["signatures"], list):
            raise CommandError(
                2, f"{file} is no consent: its type is another, and consent keys sign nothing else"
            )
        parse(decode(str(document["payload"])))
        if document["signatures"]:
            Envelope.of_document(document)
    except Malformed as error:
        raise CommandError(2, f"{file}: {_sentence(error)}") from None
    except ValueError:
        raise CommandError(2, f"{file}: its payload is not padded standard base64") from None
    return document


def _put(args: argparse.Namespace) -> None:
    document = base64.b64encode(read_input(args.file, _LIMIT)).decode()
    said = ask(args, "POST", "consents", json={"document": document})
    if args.json:
        print(json.dumps(said, indent=1))
    else:
        _explain(said)
        print("in force")


def _list(args: argparse.Namespace) -> None:
    found = ask(args, "GET", "consents", params={"owner": args.owner} if args.owner else {})
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for one in found:
        limit = "" if one["max-releases"] is None else f" of {one['max-releases']}"
        state = "in force" if not one["wanting"] else "VOID: " + "; ".join(one["wanting"])
        print(
            f"{one['path']} version {one['version']}, by {one['owner']}: {state}, {one['given']}{limit} released"
        )
    if not found:
        print("no consents")


def _withdraw(args: argparse.Namespace) -> None:
    answer = ask(args, "POST", "consents/withdraw", json={"owner": args.owner, "path": args.path})
    print(json.dumps(answer, indent=1) if args.json else f"{args.owner} consents to {args.path} no more")


def _explain(said: dict[str, Any]) -> None:
    """What a person agrees to, every value."""
    from attest.untrusted import escape

    who = f"{escape(said['owner'])}, to broker {escape(said['broker'])}, sequence {escape(said['sequence'])}:"
    lines: Sequence[str]
    if said["act"] == "release":
        most = (
            "any number of times" if said["max-releases"] is None else f"at most {said['max-releases']} times"
        )
        start = "" if said["not-before"] is None else f"from {said['not-before']} "
        lines = [
            f"version {said['version']} of {said['path']} may be released, {most}, {start}until {said['expires']},",
            "to machines that conform to all of these policies, and no others:",
            *(
                f"  {name}: {digest}"
                for name, digests in said["policies"].items()
                for digest in digests or ["none"]
            ),
        ]
    elif said["act"] == "keys":
        lines = [
            f"{said['threshold']} of these {len(said['keys'])} keys consent to releases of {', '.join(said['paths']) or 'nothing'}:"
        ]
        lines = [*lines, *(f"  {_key_id(pem)}" for pem in said["keys"])]
    else:
        lines = [f"the owners of {said['path']} become {', '.join(said['owners'])}"]
    for line in (who, *lines):
        print(line)


def _key_id(pem: str) -> str:
    from attest.dsse import TrustedKey

    return TrustedKey.read("consent", pem.encode()).key_id


def _sentence(error: Any) -> str:
    first = error.problems[0]
    return f"{first.message}: {first.where} is {first.expected}" if first.expected else str(first.message)


def read_documents(files: Sequence[Path]) -> list[str]:
    """Signed documents as the broker takes them. Raises CommandError."""
    return [base64.b64encode(read_input(file, _LIMIT)).decode() for file in files]
