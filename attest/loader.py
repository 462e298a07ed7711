"""Read files and hand their bytes on: the only place of the verifier's library that touches a disk."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attest.endorsements import Endorsements
from attest.errors import Malformed, Problem
from attest.evidence import Evidence
from attest.problems import problem
from attest.recognise import MAX_FILE, Found, recognise
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.sources.opening import BundleReader


STANDARD_INPUT = "-"


def load(
    *files: str | Path, bundles: BundleReader | None = None, brought: dict[str, Endorsements] | None = None
) -> tuple[Evidence, Endorsements]:
    """Evidence of one machine and the endorsements beside it, from files in any order.

    Each file is recognised by its content. bundles: opens signed bundles of endorsements; of each only what
    this evidence needs is taken. brought: filled with what each file holds that is endorsements alone. Raises
    Malformed when a file is unreadable or unknown, when there is no
    evidence, evidence of two machines, or a signed bundle and nobody to open it; Rejected when a bundle
    does not open.
    """
    found = Found()
    for file in files:
        before = found.counts()
        read_into(found, file)
        if brought is not None:
            added = found.since(before)
            if added is not None:
                brought[str(file)] = added
    evidence = found.evidence()
    if bundles is not None and found.sealed:
        from attest.sources.coverage import select

        sealed, found.sealed = found.sealed, []
        for name, envelope in sealed:
            found.add_endorsements(select(bundles.open(name, envelope).endorsements(), evidence))
            found.check_bounds(name)
    return evidence, found.endorsements()


def load_endorsements(files: Iterable[str | Path]) -> Endorsements:
    """Endorsements alone, for a service's folder. Raises Malformed when a file holds evidence."""
    found = Found(bounded=False)
    for file in files:
        read_into(found, file)
    if found.cpus or found.devices:
        raise Malformed(problem("evidence.several", expected="endorsements only"))
    return found.endorsements()


def read_into(found: Found, file: str | Path) -> None:
    """Add what a file holds to `found`. Raises Malformed, each problem with the file's name."""
    name = str(file)
    data = read_given(file)
    try:
        recognise(name, data, found)
    except Malformed as error:
        raise Malformed(*(_placed(each, name) for each in error.problems)) from None


def _placed(found: Problem, name: str) -> Problem:
    """A parser knows the field, not the file: who gave twenty must be told which."""
    shown = escape(name)
    if found.where is None:
        return replace(found, where=shown)
    rest = found.where.removeprefix(shown)
    if rest != found.where and rest[:1] in ("", " ", "[", ":"):
        return found
    return replace(found, where=f"{shown}: {found.where}")


def read_file(file: str | Path) -> bytes:
    """The bytes of a file of bounded size. Raises Malformed when it cannot be read or is too large."""
    try:
        with open(file, "rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except IsADirectoryError:
        raise Malformed(
            problem(
                "evidence.unreadable",
                message="A folder was given where a file is wanted",
                where=str(file),
                expected="a file; all those of a folder are its name and /*",
            )
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Malformed(problem("evidence.unreadable", where=str(file), found=reason)) from None
    return _bounded(data, str(file))


def read_given(file: str | Path) -> bytes:
    """As `read_file`; evidence and endorsements may also come from standard input, called `-`."""
    if str(file) != STANDARD_INPUT:
        return read_file(file)
    try:
        return _bounded(sys.stdin.buffer.read(MAX_FILE + 1), STANDARD_INPUT)
    except (OSError, AttributeError) as error:  # closed, or a folder
        reason = getattr(error, "strerror", None) or "it is closed"
        raise Malformed(problem("evidence.unreadable", where="standard input", found=reason)) from None


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_FILE:
        raise Malformed(
            problem("evidence.too-large", where=name, expected=f"≤ {MAX_FILE} bytes", found="more")
        )
    return data
