"""`kbs keys`: the keys that wrap secrets at rest, sign tokens and seal sessions."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command
from kbs.cli.configured import add_place, read_place, told


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "keys",
        help="list, rotate, rewrap, retire the broker's own keys",
        description="The keys that wrap secrets at rest, in files, a PKCS#11 token or a transit server, and those "
        "that sign tokens and seal sessions. No key is ever shown.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    create = actions.add_parser(
        "create",
        help="make the first key in a token or a server",
        description="Make the first key in the key store that the configuration names, without a broker.",
    )
    add_place(create)
    create.set_defaults(run=_create)

    listing = actions.add_parser(
        "list",
        help="all keys, and what each wraps",
        description="All keys, and how many versions each wraps.",
    )
    add_connection(listing)
    listing.set_defaults(run=command("keys list", _list))

    rotate = actions.add_parser(
        "rotate",
        help="a new key takes over",
        description="A new key wraps secrets from now on; those before it still open what they wrapped.",
    )
    which = rotate.add_mutually_exclusive_group()
    which.add_argument("--token", action="store_true", help="the key that signs attestation tokens instead")
    which.add_argument("--session", action="store_true", help="the key that seals sessions instead")
    add_connection(rotate)
    rotate.set_defaults(run=command("keys rotate", _rotate))

    rewrap = actions.add_parser(
        "rewrap",
        help="bring what older keys wrap under the newest",
        description="Wrap every data key anew that another key than the newest wraps, while the broker serves. "
        "It can be stopped and started again; status 1 where something is left.",
    )
    add_connection(rewrap)
    rewrap.set_defaults(run=command("keys rewrap", _rewrap))

    retire = actions.add_parser(
        "retire",
        help="take a key out of use that wraps nothing any more",
        description="Take a key out of use that wraps nothing any more. It is not destroyed: that is for the "
        "means of its store.",
    )
    retire.add_argument("id", help="as kbs keys list shows it")
    add_connection(retire)
    retire.set_defaults(run=command("keys retire", _retire))


def _create(args: argparse.Namespace) -> int:
    from kbs.clock import Clock
    from kbs.keys.configured import key_wrap
    from kbs.state import KEYS

    with told("keys create"):
        config = read_place(args)
        wrap = key_wrap(config.keys, (), config.state / KEYS)
        if keks := wrap.keks():
            raise CommandError(1, f"there is a key already, {keks[-1].id}: kbs keys rotate makes the next")
        kek = wrap.rotate(Clock().here())
        wrap.prove()
    print(f"key {kek.id}")
    return 0


def _list(args: argparse.Namespace) -> None:
    answer = ask(args, "GET", "keys")
    if args.json:
        print(json.dumps(answer, indent=1))
        return
    for key in answer["keys"]:
        state = "wraps" if key["wraps"] else "unwraps" if key["open"] else "NOT OPEN: no key store has it"
        since = f", since {key['created']}" if key["created"] else ""
        print(f"key {key['id']}: {state}, {_versions(key['versions'])}{since}")
    for place, key_id in enumerate(answer["token_keys"]):
        print(f"token key {key_id}: {'still counts' if place else 'signs'}")


def _rotate(args: argparse.Namespace) -> None:
    if args.session:
        ask(args, "POST", "keys/session/rotate")
        print("{}" if args.json else "a new key seals sessions; the one before counts for ten minutes")
        return
    answer = ask(args, "POST", "keys/token/rotate" if args.token else "keys/rotate")
    if args.json:
        print(json.dumps(answer, indent=1))
    elif args.token:
        print(f"token key {answer['id']} signs; the one before counts for ten minutes")
    else:
        print(f"key {answer['id']} wraps; for what older keys wrap: kbs keys rewrap")


def _rewrap(args: argparse.Namespace) -> None:
    total = _left(ask(args, "GET", "keys"))
    done, failed, after = 0, [], None
    while True:
        batch = ask(args, "POST", "keys/rewrap", json={"after": after})
        done, after = done + batch["done"], batch["after"]
        failed += batch["failed"]
        if after is None:
            break
        print(f"rewrapped {done} of {max(total, done)}", file=sys.stderr)
    left = _left(ask(args, "GET", "keys"))
    if args.json:
        print(json.dumps({"done": done, "left": left, "failed": failed}, indent=1))
    else:
        print(f"rewrapped {_versions(done)}, {left} left under older keys")
        for one in failed:
            print(f"- {one['path']} version {one['version']}: {one['cause']}")
    if left:
        raise CommandError(1, f"{_versions(left)} left under older keys: kbs keys list")


def _left(answer: dict[str, Any]) -> int:
    return sum(key["versions"] for key in answer["keys"] if not key["wraps"])


def _retire(args: argparse.Namespace) -> None:
    answer = ask(args, "POST", "keys/retire", json={"id": args.id})
    print(json.dumps(answer, indent=1) if args.json else f"key {answer['id']}: retired")


def _versions(count: int) -> str:
    return f"{count} version{'' if count == 1 else 's'}"
