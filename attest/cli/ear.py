"""--ear: the answer as a signed attestation result, for whoever was not there when the machine was judged."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from attest.cli.bundles import private_file
from attest.cli.inputs import check_written
from attest.cli.options import at_of, usage
from attest.errors import Rejected
from attest.outputs import write_file
from attest.result.answer import Answer
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.policy import Appraisal
    from attest.policy.appraisal import Verdict
    from attest.result.ear.claims import Terms
    from attest.result.ear.keys import SigningKey
    from attest.result.ear.result import AttestationResult

_SPELLINGS = ("veraison", "ietf", "trustee")
_HELP = """\
What was found, signed for a relying party: contraindicated where the machine is refused. Evidence that could not be
read and a policy that is invalid get no result."""
_AHEAD = timedelta(seconds=60)


def add_ear_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("attestation result", _HELP)
    group.add_argument(
        "--ear", choices=_SPELLINGS,
        help="write one, as this consumer reads it: Veraison's ear package, the IETF's draft, or Trustee",
    )  # fmt: skip
    group.add_argument("-o", "--output", metavar="FILE", help="where to write it")
    group.add_argument(
        "--ear-key", metavar="PEM",
        help="private key, P-256 (ES256) or P-384 (ES384), that signs results and nothing else",
    )  # fmt: skip
    group.add_argument("--ear-format", choices=("jwt", "cwt"), help="default jwt")
    group.add_argument("--ear-issuer", metavar="NAME", help="who says so; default attest")
    group.add_argument(
        "--ear-audience", metavar="NAME", help="the relying party it is for; others must refuse it"
    )
    group.add_argument(
        "--ear-lifetime", type=int, metavar="SECONDS",
        help="1 to 300, default 300; it ends earlier where an endorsement or a grace does",
    )  # fmt: skip
    group.add_argument(
        "--ear-jwks", metavar="FILE", help="also write the public key there, as a JWK set for relying parties"
    )


@dataclass(frozen=True)
class Asked:
    """Where a result is to go, and on which terms."""

    key: SigningKey
    terms: Terms
    output: Path


def asked_for(args: argparse.Namespace) -> Asked | None:
    """None without --ear. Raises Malformed (`usage`) before anything is judged."""
    others = ("output", "ear_key", "ear_format", "ear_issuer", "ear_audience", "ear_lifetime", "ear_jwks")
    if args.ear is None:
        given = [name for name in others if getattr(args, name) is not None]
        if given:
            name = "-o" if given[0] == "output" else "--" + given[0].replace("_", "-")
            raise usage(f"{name} belongs to --ear")
        return None
    for name, option in (("ear_key", "--ear-key PEM"), ("output", "-o FILE")):
        if getattr(args, name) is None:
            raise usage(f"--ear needs {option}")
    missing = [name for name, module in (("pyjwt", "jwt"), ("cbor2", "cbor2")) if find_spec(module) is None]
    if missing:
        raise usage(f"A result needs {' and '.join(missing)}: pip install 'attest[results]'")
    if at_of(args) > datetime.now(UTC) + _AHEAD:
        raise usage("--at is later than now: nobody can sign what a machine will be")
    check_written(args, {"-o": args.output, "--ear-jwks": args.ear_jwks})
    return Asked(_key(args), _terms(args), Path(args.output))


def write_result(asked: Asked, answer: Answer, args: argparse.Namespace) -> None:
    """Write the result of what was judged; without one, see to it that no earlier one stands there.

    Raises Malformed (`usage`) where it cannot be written.
    """
    from attest.result.ear.issue import issue

    if args.ear_jwks is not None:
        document = {"keys": [asked.key.public.jwk()]}
        write_file("--ear-jwks", args.ear_jwks, json.dumps(document, indent=1).encode() + b"\n")
    result = _result(answer, args)
    if result is None:
        _take_away(asked.output)
        print("no attestation result: the evidence was not judged", file=sys.stderr)
        return
    terms = asked.terms
    if "cpu0" in result.parts and not (args.nonce or args.tpm_nonce):
        # What the devices alone were asked says nothing of when the machine answered.
        terms = replace(terms, nonce=None)
    try:
        token = issue(result, terms, key=asked.key, spelling=args.ear, form=args.ear_format or "jwt")
    except ValueError as error:
        _take_away(asked.output)
        raise usage(str(error)) from None
    write_file("-o", args.output, token)
    print(f"attestation result in {escape(args.output)}: {result.status}", file=sys.stderr)


def _take_away(output: Path) -> None:
    """What an earlier run found is not what this one found."""
    try:
        output.unlink(missing_ok=True)
    except OSError as error:
        raise usage(f"-o {escape(str(output))} cannot be removed: {error.strerror}") from None


def _result(answer: Answer, args: argparse.Namespace) -> AttestationResult | None:
    from attest.result.ear.result import of_appraisal, of_rejected

    judgement: Appraisal | Rejected | None = getattr(args, "judgement", None)
    if judgement is None or not hasattr(args, "judged") or answer.verdict in ("malformed", "invalid"):
        return None
    evidence, _, anchors = args.judged
    if isinstance(judgement, Rejected):
        return of_rejected(judgement, evidence, at=at_of(args), simulated=anchors.simulated)
    # What could not be fetched, and second opinions, count beside the policy.
    return of_appraisal(judgement, evidence, verdict=cast("Verdict", answer.verdict), key=args.expected.key)


def _key(args: argparse.Namespace) -> SigningKey:
    from attest.result.ear.keys import SigningKey

    data = private_file("--ear-key", args.ear_key)
    try:
        return SigningKey.read(data)
    except ValueError as error:
        raise usage(f"--ear-key {escape(args.ear_key)}: {error}") from None


def _terms(args: argparse.Namespace) -> Terms:
    from attest.result.ear.claims import Terms
    from attest.result.ear.issue import check_terms

    nonce = args.nonce or args.tpm_nonce or args.gpu_nonce
    seconds = 300 if args.ear_lifetime is None else args.ear_lifetime
    try:
        terms = Terms(args.ear_issuer or "attest", args.ear_audience, nonce, timedelta(seconds=seconds))
        check_terms(terms, args.ear, args.ear_format or "jwt")
    except (ValueError, OverflowError) as error:
        raise usage(str(error)) from None
    return terms
