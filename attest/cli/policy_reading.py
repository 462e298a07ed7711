"""How commands read a policy: its parameters, whose signature it needs, and which floor data judges with it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attest.errors import AttestError, Malformed, Rejected
from attest.problems import problem
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.dsse import TrustedKeys
    from attest.policy import Policy
    from attest.policy.floors import Floors

SIGNATURE = ".dsse"
"""What a policy's detached signature is called: its file's name and this."""
FLOORS = "floors.dsse"
_MAX_SIGNATURE = 64 << 10


def add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Wherever a policy is read: --param, --require-signed, --floors-key."""
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        type=parameter,
        metavar="NAME=VALUE",
        help="a value for a parameter of the policy; may be given several times",
    )
    parser.add_argument(
        "--require-signed", metavar="PEM",
        help=f"refuse the policy unless FILE{SIGNATURE} beside it holds a signature by this public key",
    )  # fmt: skip
    parser.add_argument(
        "--floors-key", metavar="PEM",
        help="public key of whoever signs your floor data; default ATTEST_FLOORS_KEY, "
        "and without either the floor data of the package judges",
    )  # fmt: skip


def parameter(text: str) -> tuple[str, str]:
    """NAME=VALUE of an argument."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def policy_of(args: argparse.Namespace, file: str, *, parameters: Mapping[str, str] | None = None) -> Policy:
    """The policy in `file`, signed where the command line requires it. Raises Malformed."""
    from attest.policy import Policy

    signed = check_signature(args, file)
    given = {**(parameters or {}), **dict(args.param)}
    policy = Policy.read(Path(file), parameters=given, floors=floors_of(args))
    if signed is not None and policy.file_digest != signed:
        # It was read twice: whoever may write it could have put another in between.
        raise Malformed(problem("policy.unsigned", where=file, found="a file that changed while it was read"))
    return policy


def of_shadow(args: argparse.Namespace) -> argparse.Namespace:
    """The same command line as the shadow policy is read by: with parameters of its own, and the same signer."""
    return argparse.Namespace(**{**vars(args), "param": args.shadow_param})


def defaults_of(args: argparse.Namespace) -> Policy | None:
    """The defaults with the command line's floor data; None where that is the package's. Raises as `floors_of`."""
    floors = floors_of(args)
    if floors is None:
        return None
    from attest.policy import Policy

    return Policy.defaults(floors)


# -- signatures -------------------------------------------------------------------------------------


def statement(text: bytes) -> bytes:
    """What is signed of a policy: the digest of its file, so that the signature lies beside it."""
    from attest.canonical import canonical

    return canonical({"digest": digest_of(text)})


def digest_of(text: bytes) -> str:
    """As `Policy.file_digest`."""
    import hashlib

    return "sha384:" + hashlib.sha384(text).hexdigest()


def check_signature(args: argparse.Namespace, file: str) -> str | None:
    """The signed digest of the file, None where no signature is required. Raises Malformed (`policy.unsigned`)."""
    if args.require_signed is None:
        return None
    from attest.cli.bundles import trusted_keys
    from attest.dsse import Envelope, open_envelope
    from attest.loader import read_file

    keys = trusted_keys("--require-signed", [args.require_signed], "policy")
    where = f"{file}{SIGNATURE}"
    try:
        if not Path(where).is_file() or Path(where).stat().st_size > _MAX_SIGNATURE:
            raise Malformed(problem("policy.unsigned", where=where, expected="a signature of the policy"))
        payload = open_envelope(Envelope.parse(read_file(where)), "policy", keys).payload
    except AttestError as error:
        if "policy.unsigned" in error.codes:
            raise
        found = escape(error.problems[0].message)
        raise Malformed(problem("policy.unsigned", where=where, found=found)) from None
    text = read_file(file)
    if payload != statement(text):
        raise Malformed(
            problem("policy.unsigned", where=where, found="a signature over another file, or an earlier one")
        )
    return digest_of(text)


# -- floors -----------------------------------------------------------------------------------------


def floors_of(args: argparse.Namespace) -> Floors | None:
    """The newest floor data: None for the package's, else what `attest floors update` kept and whose signature
    still holds. Raises Malformed."""
    kept = kept_floors(args)
    if kept is None:
        return None
    from attest.policy.floors import Floors

    # A package that came after the update has the newer.
    return kept if kept.serial > Floors.shipped().serial else None


def floors_key(args: argparse.Namespace) -> str | None:
    key: str | None = args.floors_key or os.environ.get("ATTEST_FLOORS_KEY") or None
    return key


def kept_floors(args: argparse.Namespace) -> Floors | None:
    """What `attest floors update` kept; None where there is nothing, or no key to open it. Raises Malformed, for a key
    that is none too: who names one believes that his floor data judges."""
    key = floors_key(args)
    folder = floors_folder(args)
    if key is None:
        return None
    trusted_floors(key)
    if not (folder / FLOORS).is_file():
        return None
    from attest.policy.floors import Floors
    from attest.sources.folder import Folder

    data = Folder(folder).read(FLOORS, 2 << 20)
    if data is None:
        raise Malformed(problem("floors.malformed", where=str(folder / FLOORS)))
    try:
        return opened(key, data, Floors.none())
    except Rejected as error:
        # Nothing of the evidence's: it has not been looked at.
        raise Malformed(*error.problems) from None


def opened(key: str, data: bytes, seen: Floors) -> Floors:
    """Signed floor data. Raises Malformed, Rejected."""
    from attest.dsse import Envelope
    from attest.policy.floor_update import open_floors

    return open_floors(Envelope.parse(data), trusted_floors(key), seen=seen)


def trusted_floors(key: str) -> TrustedKeys:
    """The key of whoever signs floor data. Raises Malformed (`usage`)."""
    from attest.cli.bundles import trusted_keys

    try:
        return trusted_keys("--floors-key", [key], "floors")
    except Malformed as error:
        if error.codes == {"usage"}:
            raise
        reason = error.problems[0].found or error.problems[0].message
        message = f"--floors-key or ATTEST_FLOORS_KEY {escape(key)} cannot be read: {reason}"
        raise Malformed(problem("usage", message=message)) from None


def floors_folder(args: argparse.Namespace) -> Path:
    from attest.sources.cache import default_folder

    given: str | None = getattr(args, "cache", None)
    return Path(given) if given else default_folder()
