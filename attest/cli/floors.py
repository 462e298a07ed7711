"""`attest floors show` and `attest floors update FILE`: the oldest firmware and collateral still good enough."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from attest.errors import AttestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attest.policy.floors import Floors

_EPILOG = """\
examples:
  attest floors show
  attest floors update floors.dsse --floors-key ours.pub
  ATTEST_FLOORS_KEY=ours.pub attest verify quote.bin collateral.json

The floor data of the package is trusted as the package is. An update comes signed, by a key that you name in
ATTEST_FLOORS_KEY or with --floors-key each time, and a serial lower than one seen is refused. It is kept in the cache
folder and its signature is checked again at each use. Exit status: 0 good, 1 refused, 2 malformed input or wrong use."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "floors",
        help="show or update the floors of firmware and collateral",
        description="Floor data: which firmware fixes an advisory, and how old Intel's collateral may be.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    show = verbs.add_parser("show", help="the floors in use, each with its bulletin")
    update = verbs.add_parser("update", help="take signed floor data in the place of older")
    update.add_argument("file", metavar="FILE", help="floor data in a DSSE envelope")
    for verb in (show, update):
        verb.add_argument(
            "--floors-key", metavar="PEM", help="public key of its signer; default ATTEST_FLOORS_KEY"
        )
        verb.add_argument(
            "--cache", metavar="DIR", help="where it is kept; default ATTEST_CACHE or ~/.cache/attest"
        )
        verb.add_argument("--json", action="store_true", help="print as JSON")
    show.set_defaults(run=_run_show)
    update.set_defaults(run=_run_update)


def _run_show(args: argparse.Namespace) -> int:
    from attest.cli.endorsements_bundle import told
    from attest.cli.policy_reading import floors_of
    from attest.policy.floors import Floors

    try:
        kept = floors_of(args)
    except AttestError as error:
        return told(args, error)
    _print(args, kept or Floors.shipped(), "update" if kept else "package")
    return 0


def _run_update(args: argparse.Namespace) -> int:
    from attest.cli.endorsements_bundle import told

    try:
        _print(args, _update(args), "update")
    except AttestError as error:
        return told(args, error)
    return 0


def _update(args: argparse.Namespace) -> Floors:
    """Raises Malformed, Rejected; then nothing was changed."""
    from attest.cli.options import usage
    from attest.cli.policy_reading import FLOORS, floors_folder, floors_key, kept_floors, opened
    from attest.loader import read_file
    from attest.policy.floors import Floors
    from attest.sources.folder import Folder

    key = floors_key(args)
    if key is None:
        raise usage(
            "whose floor data is it? Name the signer's public key with --floors-key or ATTEST_FLOORS_KEY"
        )
    data = read_file(args.file)
    folder = Folder(floors_folder(args))
    with folder.locked(FLOORS, patience=30.0) as held:
        if not held:
            raise usage("another process updates the floor data")
        seen = max(Floors.shipped(), kept_floors(args) or Floors.none(), key=lambda one: one.serial)
        floors = opened(key, data, seen)
        folder.write(FLOORS, data)
    return floors


def _print(args: argparse.Namespace, floors: Floors, origin: str) -> None:
    document = _document(floors, origin)
    if args.json:
        from attest.cli.options import print_json

        print_json(document)
        return
    print(f"floor data {document['serial']}, from the {origin}, issued {document['issued']}")
    print(f"    good until {document['expires']}; {document['digest']}")
    for line in _lines(floors):
        print(line)


def _lines(floors: Floors) -> Iterator[str]:
    from attest.claims import instant
    from attest.untrusted import escape

    for name, products in floors.advisories.items():
        yield f"{name.upper()}: {escape(floors.titles[name])}"
        for product, minimums in products.items():
            for one in minimums:
                wanted = [f"{component} ≥ {least}" for component, least in one.tcb.items()]
                if one.firmware is not None:
                    wanted.append("firmware ≥ " + ".".join(map(str, one.firmware)))
                wanted += [f"{flag} true" for flag in one.flags]
                says = ", ".join(wanted) or "not affected"
                yield f"    {product}: {says}, from {instant(one.begins)[:10]} ({escape(one.source)})"
        if not products:
            yield "    no floor is known: a policy that asks for it does not load"
    for number in floors.evaluations:
        yield f"tcbEvaluationDataNumber ≥ {number.least}, from {instant(number.begins)[:10]}"
        yield f"    {escape(number.source)}"


def _document(floors: Floors, origin: str) -> dict[str, Any]:
    from attest.claims import instant

    assert floors.issued is not None
    assert floors.expires is not None
    return {
        **floors.about(),
        "origin": origin,
        "issued": instant(floors.issued),
        "expires": instant(floors.expires),
        "advisories": {
            name: {
                product: [
                    {
                        "from": instant(one.begins),
                        "source": one.source,
                        "tcb": {component: str(least) for component, least in one.tcb.items()},
                        "firmware": None if one.firmware is None else ".".join(map(str, one.firmware)),
                        "flags": list(one.flags),
                    }
                    for one in minimums
                ]
                for product, minimums in products.items()
            }
            for name, products in floors.advisories.items()
        },
        "tcb-evaluation": [
            {"from": instant(one.begins), "at-least": str(one.least), "source": one.source}
            for one in floors.evaluations
        ],
    }
