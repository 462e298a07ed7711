"""Which files a command line has read: what may not be written over."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from attest.cli.policy_reading import SIGNATURE
from attest.errors import AttestError
from attest.loader import read_file
from attest.outputs import check_outputs

_NAMED = (
    "files", "policy", "shadow", "memory", "simulator_root", "bundle_key", "require_signed", "floors_key",
    "sign", "ear_key", "nras_token", "nras_jwks", "nvidia_python", "state", "nvml", "nscq",
    "ovmf", "kernel", "initrd", "id_key", "author_key",
)  # fmt: skip
"""Names that argparse gives to options and arguments which name one file or several."""


def check_written(args: argparse.Namespace, written: Mapping[str, str | None]) -> None:
    """As `check_outputs`, for option → file, beside everything that this command line has read. Raises Malformed
    (`usage`)."""
    if any(file is not None for file in written.values()):
        check_outputs(written, _files_read(args))


def key_file(text: str | None) -> str | None:
    """The file that --key names, None where it is the JWK itself."""
    return None if text is None or text.lstrip().startswith(("{", "[")) else text


def _files_read(args: argparse.Namespace) -> Iterator[str]:
    for name in _NAMED:
        given = getattr(args, name, None)
        yield from [given] if isinstance(given, str) else given or ()
    key = key_file(getattr(args, "key", None))
    if key is not None:
        yield key
    for file in (getattr(args, "policy", None), getattr(args, "shadow", None)):
        if file is not None:
            yield f"{file}{SIGNATURE}"
            yield from _parents(file)


def _parents(policy: str) -> Iterator[str]:
    """The files that a policy extends; what is wrong with it is told by who reads it."""
    from attest.policy.document import files_beside

    try:
        for name in files_beside(Path(policy), read_file(policy)):
            yield str(Path(policy).parent / name)
    except AttestError:
        return
