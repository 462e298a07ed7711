"""Read files and hand their bytes on: the only place of the verifier's library that touches a disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.evidence import Evidence
from attest.problems import problem
from attest.recognise import MAX_FILE, Found, recognise

if TYPE_CHECKING:
    from attest.sources.opening import BundleReader


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
        recognise(str(file), read_file(file), found)
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
        recognise(str(file), read_file(file), found)
    if found.cpus or found.devices:
        raise Malformed(problem("evidence.several", expected="endorsements only"))
    return found.endorsements()


def read_file(file: str | Path) -> bytes:
    """The bytes of a file of bounded size. Raises Malformed when it cannot be read or is too large."""
    try:
        with open(file, "rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Malformed(problem("evidence.unreadable", where=str(file), found=reason)) from None
    if len(data) > MAX_FILE:
        raise Malformed(
            problem("evidence.too-large", where=str(file), expected=f"≤ {MAX_FILE} bytes", found="more")
        )
    return data
