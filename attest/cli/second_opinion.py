"""--second-opinion nvidia: what NVIDIA's own software says of the same devices.

It is asked about evidence that this verifier found authentic, and can only withhold: where it disagrees,
refuses, or cannot be asked, nothing is accepted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from attest.check_table import CHECKS
from attest.checks import CheckRecord
from attest.errors import AttestError, Malformed, Problem
from attest.loader import read_file
from attest.parts import device_names
from attest.problems import problem
from attest.result.answer import judged_beside, of_refusal

if TYPE_CHECKING:
    from attest.anchors import Anchors
    from attest.endorsements import Endorsements
    from attest.evidence import Evidence
    from attest.nvidia.containers import DeviceEvidence
    from attest.nvidia.nras import AskedDevice
    from attest.nvidia.second_opinion.opinion import SecondOpinion
    from attest.nvidia.second_opinion.question import Question
    from attest.result.answer import Answer
    from attest.verified import Verified

CHECK = "second-opinion.nvidia"
_HELP = """\
whether NVIDIA's own software agrees about GPUs and switches. It can refuse what this verifier accepts,
never the other way round. Three ways, alone or together:
  a token of NVIDIA's remote service:  --nras-token FILE --nras-jwks FILE
  its remote service, asked now:       --nras          (the evidence is sent there; needs a licence)
  its local verifier, run here:        --nvidia-python build/peers/nvidia/bin/python   (`make peers`)"""


def add_second_opinion_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("second opinion", _HELP)
    group.add_argument("--second-opinion", choices=["nvidia"], help="ask for it")
    group.add_argument(
        "--nras-token", action="append", default=[], metavar="FILE",
        help="an answer of the remote service; one for the GPUs, one for the switches",
    )  # fmt: skip
    group.add_argument(
        "--nras-jwks", metavar="FILE",
        help="the service's key set, from https://nras.attestation.nvidia.com/.well-known/jwks.json",
    )  # fmt: skip
    group.add_argument("--nras", action="store_true", help="send the evidence to the remote service")
    group.add_argument(
        "--nvidia-python", metavar="FILE",
        help="the interpreter that has nv-attestation-sdk; default ATTEST_NVIDIA_PYTHON",
    )  # fmt: skip


def check_usage(args: argparse.Namespace) -> None:
    """Raises Malformed (`usage`) when the options do not say whom to ask."""
    ways = [name for name in ("nras_token", "nras_jwks", "nras", "nvidia_python") if getattr(args, name)]
    if args.second_opinion is None:
        if ways:
            _usage(f"--{ways[0].replace('_', '-')} belongs to --second-opinion nvidia")
        return
    if bool(args.nras_token) != bool(args.nras_jwks):
        _usage("--nras-token and --nras-jwks go together: a token proves nothing without the service's keys")
    if not ways and _interpreter(args) is None:
        _usage(
            "--second-opinion nvidia needs somebody to ask: --nras-token and --nras-jwks, or --nras, or, after "
            "`make peers`, --nvidia-python build/peers/nvidia/bin/python"
        )


@dataclass(frozen=True)
class Judged:
    """What was verified, and what came of it."""

    evidence: Evidence
    endorsements: Endorsements
    verified: Verified
    anchors: Anchors


def with_second_opinion(answer: Answer, args: argparse.Namespace, judged: Judged | None) -> Answer:
    """The answer, refused where NVIDIA's software does not agree. judged: None where it was refused before."""
    if args.second_opinion is None:
        return answer
    if judged is None:
        record = CheckRecord(CHECK, "not-run", CHECKS[CHECK], "the evidence was refused before")
        return replace(answer, checks=(*answer.checks, record))
    try:
        opinions = tuple(_opinions(args, judged))
    except Malformed as error:
        return of_refusal(error, answer.at)
    except AttestError as error:
        record = CheckRecord(CHECK, "not-run", CHECKS[CHECK], error.problems[0].message)
        return _refused(replace(answer, checks=(*answer.checks, record)), error.problems)
    problems = tuple(found for opinion in opinions for found in opinion.problems)
    answer = replace(
        answer,
        simulated=answer.simulated or any(opinion.simulated for opinion in opinions),
        checks=(*answer.checks, *(record for opinion in opinions for record in opinion.checks)),
        second_opinions=tuple(opinion.as_dict() for opinion in opinions),
    )
    return _refused(answer, problems) if problems else answer


def _refused(answer: Answer, problems: tuple[Problem, ...]) -> Answer:
    return judged_beside(answer, "refused", problems=problems)


def _opinions(args: argparse.Namespace, judged: Judged) -> Iterator[SecondOpinion]:
    """Raises Malformed for files that are none, FetchFailed and Unavailable where nobody answers."""
    devices = cast("tuple[DeviceEvidence, ...]", judged.evidence.devices)
    if not devices:
        raise Malformed(problem("second-opinion.nothing-to-ask"))
    bound = any(
        record.name == "binding.gpu-nonce" and record.outcome == "passed" for record in judged.verified.checks
    )
    # What passed that check is the nonce that was expected, the same for all.
    nonce = devices[0].report.request_nonce if bound else None
    raws = _raws(devices, judged.verified)
    questions = [_question(device, judged, nonce, raw) for device, raw in zip(devices, raws, strict=True)]
    if args.nras_token or args.nras:
        if nonce is None:
            raise Malformed(problem("second-opinion.no-nonce"))
        asked = [_asked(device.section, raw) for device, raw in zip(devices, raws, strict=True)]
        if args.nras_token:
            yield _of_files(args, judged, nonce, asked)
        if args.nras:
            yield _of_service(args, judged, nonce, asked, questions)
    python = _interpreter(args)
    if python is not None:
        yield _of_peer(python, judged, nonce, questions)


def _raws(devices: tuple[DeviceEvidence, ...], verified: Verified) -> list[Any]:
    """NVIDIA's own fields of each verified device, in the evidence's order."""
    left = {section: iter(verified.claims["raw"].get(section, ())) for section in ("gpu", "switch")}
    return [next(left[device.section]) for device in devices]


def _question(device: DeviceEvidence, judged: Judged, nonce: bytes | None, raw: Any) -> Question:
    from attest.nvidia.second_opinion.question import question_of

    used = {role: rim["sha256"] for role, rim in raw["rims"].items()}
    return question_of(device, judged.endorsements, nonce=nonce, at=judged.verified.at, used=used)


def _asked(section: Any, raw: Any) -> AskedDevice:
    from attest.nvidia.nras import AskedDevice

    return AskedDevice(
        section,
        int(raw["certificate_serials"][0], 16),
        str(raw["certificates"][1]),
        raw.get("driver_version"),
        raw.get("vbios_version"),
    )


def _of_files(
    args: argparse.Namespace, judged: Judged, nonce: bytes, asked: list[AskedDevice]
) -> SecondOpinion:
    from attest.nvidia.nras import second_opinion
    from attest.nvidia.nras_keys import Jwks
    from attest.nvidia.nras_token import NrasAnswer

    _need_jwt()
    return second_opinion(
        [NrasAnswer.parse(read_file(file)) for file in args.nras_token],
        keys=Jwks.parse(read_file(args.nras_jwks)),
        nonce=nonce,
        devices=asked,
        at=judged.verified.at,
        simulated=judged.anchors.simulated,
    )


def _of_service(
    args: argparse.Namespace,
    judged: Judged,
    nonce: bytes,
    asked: list[AskedDevice],
    questions: list[Question],
) -> SecondOpinion:
    _need_jwt()
    from attest.cli.fetching import service_key, sources_of
    from attest.nvidia.nras import second_opinion
    from attest.sources.hosts import Hosts
    from attest.sources.nras import Nras

    sources = sources_of(args, judged.anchors)
    service = Nras(sources.client, Hosts.from_environment(), service_key=service_key())
    answers = service.attest(questions, nonce)
    return second_opinion(
        answers,
        keys=service.keys_for(answers),
        nonce=nonce,
        devices=asked,
        at=judged.verified.at,
        simulated=judged.anchors.simulated,
    )


def _of_peer(python: Path, judged: Judged, nonce: bytes | None, questions: list[Question]) -> SecondOpinion:
    from attest.nvidia.second_opinion.compare import compare
    from attest.nvidia.second_opinion.runner import Peer

    names = device_names(question.kind for question in questions)
    left = {section: iter(judged.verified.claims.get(section, ())) for section in ("gpu", "switch")}
    measurements = {
        name: next(left[question.kind])["measurements"]
        for name, question in zip(names, questions, strict=True)
    }
    with Peer(python) as peer:
        answers = {name: peer.ask(question) for name, question in zip(names, questions, strict=True)}
        return compare(
            peer.version,
            answers,
            checks=judged.verified.checks,
            measurements=measurements,
            nonce_expected=nonce is not None,
        )


def _interpreter(args: argparse.Namespace) -> Path | None:
    from attest.nvidia.second_opinion.runner import interpreter

    return interpreter(args.nvidia_python)


def _need_jwt() -> None:
    try:
        import jwt  # noqa: F401
    except ImportError:
        _usage("Checking a token needs pyjwt: pip install 'attest[sources]'")


def _usage(message: str) -> None:
    raise Malformed(problem("usage", message=message))
