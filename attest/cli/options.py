"""Options that several commands share: which evidence, at what time, bound to what, under which roots."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from string import hexdigits
from typing import Any

from attest.anchors import Anchors
from attest.binding import Expected
from attest.canonical import canonical, read_json, refuse_floats
from attest.cli.bundles import add_bundle_argument, bundle_reader
from attest.cli.fetching import Fetching, add_fetch_arguments, check_fetch_arguments, memory_file
from attest.cli.inputs import key_file
from attest.cli.unused import not_used
from attest.endorsements import Endorsements
from attest.errors import Malformed, Rejected
from attest.loader import load, read_file
from attest.memory import Memory
from attest.problems import problem
from attest.untrusted import escape
from attest.verified import Verified
from attest.verifier import verify


def add_evidence_arguments(parser: argparse.ArgumentParser, *, files: str = "+") -> None:
    """FILE... and everything that says how to verify them. files: how many, as argparse writes it; empty where the command
    names its evidence otherwise."""
    if files:
        parser.add_argument(
            "files", nargs=files, metavar="FILE",
            help="reports, quotes, certificates, CRLs, collateral, RIMs or bundles, in any order; recognised by content; - for standard input",
        )  # fmt: skip
    parser.add_argument(
        "--at",
        type=instant_argument,
        metavar="TIME",
        help="judge everything at this time (RFC 3339); default now",
    )
    expected = parser.add_argument_group(
        "expected values (without any, old or borrowed evidence cannot be told)"
    )
    expected.add_argument(
        "--nonce", type=hex_argument, metavar="HEX", help="the challenge you gave, 16 to 64 bytes"
    )
    expected.add_argument("--key", metavar="JWK", help="the workload's public key, JSON text or a file")
    expected.add_argument(
        "--origin", metavar="URL",
        help="your own origin, https://host: the evidence is a site's and must name it (with --nonce)",
    )  # fmt: skip
    expected.add_argument(
        "--report-data", type=hex_argument, metavar="HEX",
        help="REPORT_DATA itself, up to 64 bytes, zeros on the right; instead of --nonce and --key",
    )  # fmt: skip
    expected.add_argument(
        "--gpu-nonce", type=hex_argument, metavar="HEX", help="32 bytes that each GPU was asked with"
    )
    expected.add_argument(
        "--tpm-nonce",
        type=hex_argument,
        metavar="HEX",
        help="extraData of an Azure machine's TPM quote, asked directly",
    )
    parser.add_argument(
        "--simulator-root", metavar="FILE",
        help="also accept this simulator's root; the answer says simulated everywhere",
    )  # fmt: skip
    add_bundle_argument(parser)
    add_fetch_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def instant_argument(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if not 1 < value.year < 9999:
            raise OverflowError  # what is a little earlier or later must be a time too
        return value
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-11-23T12:00:00Z") from None


def hex_argument(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        digits = "".join(text.removeprefix("0x").split())
        if all(char in hexdigits for char in digits):
            message = f"an odd number of hexadecimal digits ({len(digits)}): a byte is two"
        else:
            message = f"{text[:40]!r} is not hexadecimal"
        raise argparse.ArgumentTypeError(message) from None


def at_of(args: argparse.Namespace) -> datetime:
    """The instant of this run, the same for every question asked in it."""
    if args.at is None:
        args.at = datetime.now(UTC).replace(microsecond=0)
    at: datetime = args.at
    return at


@dataclass(frozen=True)
class Asked:
    """What the command line asked for."""

    expected: Expected
    anchors: Anchors


def asked(args: argparse.Namespace) -> Asked:
    """Raises Malformed (`usage`) when options contradict each other."""
    check_fetch_arguments(args)
    for name, least, most in (
        ("nonce", 16, 64),
        ("report_data", 1, 64),
        ("gpu_nonce", 32, 32),
        ("tpm_nonce", 1, 64),
    ):
        check_length("--" + name.replace("_", "-"), getattr(args, name), least, most)
    try:
        expected = Expected(
            nonce=args.nonce,
            key=read_key(args.key),
            report_data=args.report_data,
            gpu_nonce=args.gpu_nonce,
            tpm_nonce=args.tpm_nonce,
            origin=args.origin,
        )
    except ValueError as error:
        raise usage(str(error)) from None
    return Asked(expected, simulated_anchors(args))


def simulated_anchors(args: argparse.Namespace) -> Anchors:
    """The vendors' roots, and those of --simulator-root. Raises Malformed (`usage`)."""
    anchors = Anchors.production()
    if args.simulator_root is None:
        return anchors
    given = read_file(args.simulator_root)
    name = f"--simulator-root {escape(args.simulator_root)}"
    try:
        return anchors.with_simulator(given)
    except ValueError as error:
        raise usage(f"{name}: {error}") from None
    except Malformed as error:
        raise usage(f"{name} holds no certificates: {error.problems[0].message}") from None


def check_length(option: str, value: bytes | None, least: int, most: int) -> None:
    """Raises Malformed (`usage`) unless there are `least` to `most` bytes."""
    if value is not None and not least <= len(value) <= most:
        wanted = f"exactly {least}" if least == most else f"{least} to {most}"
        raise usage(f"{option} is {wanted} bytes; {len(value)} found")


def verify_from(args: argparse.Namespace) -> Verified:
    """Load and verify the files of a command line. Raises Malformed or Rejected."""
    question = asked(args)
    args.expected = question.expected
    at = at_of(args)
    file = memory_file(args, question.anchors)
    memory = file.read() if file is not None else None
    args.bundles = bundle_reader(args, at, memory)
    brought: dict[str, Endorsements] = {}
    evidence, endorsements = load(*args.files, bundles=args.bundles, brought=brought)
    fetching = None
    if args.fetch:
        fetching = args.fetching = Fetching(args, question.anchors, at)
        endorsements = fetching.add(evidence, endorsements)
        if file is not None and memory is not None:
            memory = file.update(fetching.raise_minimum(memory))

    def judged(endorsements: Endorsements) -> Verified:
        args.judged = evidence, endorsements, question.anchors
        return verify(
            evidence,
            endorsements=endorsements,
            at=at,
            expected=question.expected,
            anchors=question.anchors,
            memory=memory,
        )

    seen: Memory | None = None
    try:
        verified = judged(endorsements)
        if fetching is not None and _mismatched(verified):
            newer = fetching.newer_manifests()
            if newer.rims:
                verified = judged(endorsements + newer)
        seen = verified.memory
    except Rejected as refusal:
        seen = refusal.seen
        raise
    finally:
        # Also of what was refused: the list that revokes is the one to be kept from going back.
        for one in (seen, None if args.bundles is None else args.bundles.memory):
            if file is not None and one is not None:
                file.update(one)
    args.not_used = not_used(brought, verified, question.anchors)
    return verified


def _mismatched(verified: Verified) -> bool:
    devices = (device for section in ("gpu", "switch") for device in verified.claims.get(section, ()))
    return any(device.get("measurements") == "mismatch" for device in devices)


def usage(message: str) -> Malformed:
    return Malformed(problem("usage", message=message))


_JWK_MEMBERS = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x"), "AKP": ("alg", "pub")}
"""What RFC 7518, RFC 8037 and the IETF's AKP demand of each kty."""


def read_key(text: str | None) -> dict[str, Any] | None:
    """The JWK that --key gives as text or names as a file. Raises Malformed."""
    if text is None:
        return None
    file = key_file(text)
    name = "--key" if file is None else f"--key {escape(text)}"
    data = text.encode("utf-8", "surrogateescape") if file is None else read_file(file)
    try:
        key = read_json(data, where="--key")
    except Malformed as error:
        raise usage(f"{name} is no JWK, a JSON object with kty: {error.problems[0].message}") from None
    if not isinstance(key, dict) or "kty" not in key:
        raise usage(f"{name} is no JWK: a JWK is a JSON object with kty")
    members = _JWK_MEMBERS.get(key["kty"]) if isinstance(key["kty"], str) else None
    if members is None:
        raise usage(f"{name}: the kty of a JWK is one of {', '.join(_JWK_MEMBERS)}")
    for member in members:
        if not isinstance(key.get(member), str) or not key[member]:
            raise usage(f"{name}: a JWK of kty {key['kty']} has {', '.join(members)}; {member} is not there")
    try:
        refuse_floats(key)
        canonical(key)
    except ValueError:
        # A float, or a number beyond what RFC 8785 can write: no two agree on what was hashed.
        raise usage(f"{name} has no canonical form (RFC 8785)") from None
    return key


def print_json(document: object) -> None:
    print(json.dumps(document, indent=1))
