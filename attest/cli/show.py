"""`attest show FILE...`: what do these files hold? Nothing is verified, and the output says so."""

from __future__ import annotations

import argparse
import dataclasses
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from attest.claims import instant
from attest.cli.options import print_json
from attest.dsse import Envelope
from attest.endorsements import Endorsements
from attest.errors import Malformed, Problem
from attest.loader import read_given
from attest.parts import device_names
from attest.recognise import Found, recognise
from attest.untrusted import escape


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "show",
        help="show what files hold, unverified",
        description="Parse any evidence or endorsement and show its fields. Verifies nothing: anybody can write"
        " such a file.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="anything that `attest verify` takes; - for standard input"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    shown: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for file in args.files:
        found = Found()
        try:
            recognise(str(file), read_given(file), found)
        except Malformed as error:
            problems += error.problems
            continue
        for _, part in found.cpus:
            shown.append({"file": file, "evidence": part.section, "fields": _fields(part)})
        places = device_names(device.section for device in found.devices)
        for device, place in zip(found.devices, places, strict=True):
            shown.append(
                {"file": file, "evidence": device.section, "device": place, "fields": _fields(device)}
            )
        for kind, loose in found.azure.shown():
            shown.append({"file": file, "evidence": kind, "fields": _fields(loose)})
        for log in found.event_logs:
            from attest.eventlog.describe import describe

            shown.append({"file": file, "evidence": f"{log.form} event log", "fields": describe(log)})
        for table in found.tables:
            shown.append({"file": file, "evidence": "ccel table", "fields": _fields(table)})
        sealed, found.sealed = found.sealed, []
        for _, envelope in sealed:
            shown.append({"file": file, "endorsement": "signed bundle", "fields": _bundle(envelope)})
        shown += ({"file": file, **item} for item in _endorsements(found.endorsements()))
    if args.json:
        print_json({"verified": False, "contents": shown, "problems": [p.as_dict() for p in problems]})
    else:
        print("UNVERIFIED contents: anybody can write such a file; use `attest verify`")
        for item in shown:
            kind = item.get("device") or item.get("evidence") or item["endorsement"]
            print(f"\n{escape(item['file'])}: {kind}")
            _print(item["fields"], 1)
        for problem in problems:
            print(f"\n✘ {problem}\n    [{problem.code}] → {problem.remedy}")
    return 2 if problems else 0


def _bundle(envelope: Envelope) -> dict[str, Any]:
    """What a bundle says of itself. Its signature is not looked at."""
    from attest.sources.offline import Bundle

    signers = [name or "no key id" for name, _ in envelope.signatures]
    try:
        bundle = Bundle.parse(envelope.payload)
    except Malformed as error:
        return {"signers": signers, "payload": str(error.problems[0])}
    entries = [entry.document() for entry in bundle.entries]
    return {
        "signers": signers,
        "made": instant(bundle.made),
        "expires": instant(bundle.expires),
        "serial": str(bundle.serial),
        "entries": [
            {
                name: entry[name] or "none"
                for name in ("kind", "about", "this-update", "next-update", "sha256", "id")
                if name in entry
            }
            for entry in entries
        ],
    }


def _endorsements(endorsements: Endorsements) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for certificate in endorsements.certificates:
        fields = {
            "subject": certificate.common_name.shown,
            "issuer": certificate.issuer_common_name.shown,
            "serial": f"{certificate.serial:#x}",
            "not_before": instant(certificate.not_before),
            "not_after": instant(certificate.not_after),
            "sha256": certificate.fingerprint.hex(),
        }
        items.append({"endorsement": "certificate", "fields": fields})
    for crl in endorsements.crls:
        fields = {
            "issuer": escape(crl.issuer_text),
            "this_update": instant(crl.this_update),
            "next_update": instant(crl.next_update) if crl.next_update else "none",
            "revoked": str(len(crl.parsed)),
        }
        items.append({"endorsement": "crl", "fields": fields})
    for document in endorsements.documents:
        items.append(
            {
                "endorsement": document.kind,
                # JSON may hold C1 and bidirectional controls as they are.
                "fields": {"json": escape(document.body.decode("utf-8", "replace"), 1 << 20)},
            }
        )
    manifests = [rim if isinstance(rim, bytes) else rim.raw for rim in endorsements.rims]
    for kind, blobs in (("rim", manifests), ("ocsp", endorsements.ocsp)):
        items += ({"endorsement": kind, "fields": {"bytes": str(len(blob))}} for blob in blobs)
    return items


def _fields(value: Any) -> Any:
    """Any parsed structure as text, by its own field names."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        named = value._asdict().items()
        return {name: _fields(item) for name, item in named if name not in ("raw", "signed")}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _fields(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not field.name.startswith("_") and field.name not in ("raw", "signed")
        }
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, dict):
        return {escape(str(key)): _fields(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_fields(item) for item in value]
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, RSAPublicKey):
        return f"RSA, {value.key_size} bits"
    if value is None or isinstance(value, (bool, int)):
        return "absent" if value is None else str(value)
    return escape(str(value))


def _print(value: Any, depth: int) -> None:
    indent = "  " * depth
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, (dict, list)) and item:
                print(f"{indent}{name}:")
                _print(item, depth + 1)
            else:
                print(f"{indent}{name:<24} {item if item not in ({}, []) else 'none'}")
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)):
                _print(item, depth + 1)
                print(f"{indent}-")
            else:
                print(f"{indent}- {item}")
    else:
        print(f"{indent}{value}")
