"""`attest endorsements rims FILE... -o rims.json`: golden measurements for verifiers that read no XML."""

from __future__ import annotations

import argparse
from typing import Any

from attest.claims import instant
from attest.cli.bundles import add_bundle_argument, bundle_reader, signing_key
from attest.cli.endorsements_bundle import gather, told
from attest.cli.inputs import check_written
from attest.cli.options import at_of, instant_argument, print_json, simulated_anchors, usage
from attest.errors import AttestError
from attest.outputs import write_file
from attest.untrusted import escape

_EPILOG = """\
Each manifest's XML signature is verified, its signers' chain to NVIDIA's pinned root, its time, and what OCSP
answers and lists among FILE say of its signers; one that does not hold ends the command, and nothing is
written. The same files with the same --at give the same bytes.

  attest endorsements rims vendor/rim-*.xml vendor/*.ocsp -o rims.json        as `fetch -o vendor/` names them
  attest endorsements rims vendor/rim-*.xml --sign rims.key -o rims.signed.json   a DSSE envelope around it

An answer that is out of date is no answer: the manifest does not hold until a newer one is given. Without any answer or
list the revocation of its signers is not checked: the manifest is written, its entry says `"cert": "absent"`, and the
command says so; a reader that asks for more must refuse it. The key of --sign signs nothing but this kind of file.

Exit status: 0 written, 1 a manifest does not hold or a bundle is refused, 2 malformed input or wrong use."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "rims",
        help="golden measurements of verified manifests, as JSON",
        description="Verify NVIDIA reference manifests and write their golden measurements as canonical JSON.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="manifests; OCSP answers and lists about their signers; bundles",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it")
    parser.add_argument("--sign", metavar="KEY", help="private key in PEM: Ed25519, P-256 or P-384")
    parser.add_argument(
        "--at", type=instant_argument, metavar="TIME", help="when it is made (RFC 3339); default now"
    )
    add_bundle_argument(parser)
    parser.add_argument("--simulator-root", metavar="FILE", help="also accept this simulator's root")
    parser.add_argument("--json", action="store_true", help="print what is in it as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        return _run(args)
    except AttestError as error:
        return told(args, error)


def _run(args: argparse.Namespace) -> int:
    from attest.dsse import seal_envelope
    from attest.sources.rims import golden_of, write_rims

    check_written(args, {"-o": args.output})
    made = at_of(args)
    key = None if args.sign is None else signing_key("--sign", args.sign)
    _, endorsements, _, rim_files = gather(args.files, bundle_reader(args, made, None))
    if not endorsements.rims:
        raise usage("no reference manifest was given")
    manifests = golden_of(endorsements, at=made, anchors=simulated_anchors(args), files=rim_files)
    document = write_rims(manifests, made)
    write_file("-o", args.output, document if key is None else seal_envelope("rims", document, key))
    rows = [
        {
            "manifest": f"{one.rim.stated.edition} {one.rim.stated.product.shown} {one.rim.stated.version.shown}",
            "measurements": str(len(one.rim.golden)),
            "expires": instant(one.rim.path.not_after),
            "cert": one.cert,
        }
        for one in manifests
    ]
    if args.json:
        print_json({"output": args.output, "made": instant(made), "rims": rows})
        return 0
    print(f"{escape(args.output)}: {len(rows)} manifests, made {instant(made)}")
    for row in rows:
        checked = "not revoked" if row["cert"] == "good" else "their revocation not checked"
        print(
            f"  {row['manifest']}: {row['measurements']} measurements, signers until {row['expires']}, {checked}"
        )
    if any(row["cert"] == "absent" for row in rows):
        print(
            "  → give the OCSP answers about these signers too: `attest endorsements fetch EVIDENCE -o vendor/` has them"
        )
    return 0
