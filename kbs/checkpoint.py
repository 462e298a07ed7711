"""A checkpoint: the head of the audit trail at an instant, signed, for people and places outside.

    {"broker": ID, "number": "12", "hash": HEX, "at": INSTANT, "epoch": "3"}

As a DSSE envelope of kind `checkpoint`, by a key that signs nothing else (T-SIGTYPE). Who has one can show that the trail was
cut or rewritten before its row (T-TAIL). No database, no web.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ed25519

from attest.canonical import canonical, read_json
from attest.claims import instant, read_instant
from attest.dsse import Envelope, TrustedKeys, open_envelope, seal_envelope
from attest.errors import Malformed
from kbs.audit import Head
from kbs.problems import problem

LIMIT: Final = 16 << 10
_MEMBERS: Final = {"broker", "number", "hash", "at", "epoch"}
_FORMS: Final = {
    "broker": re.compile(r"[0-9a-f]{32}"),
    "number": re.compile(r"[1-9][0-9]{0,18}"),
    "hash": re.compile(r"[0-9a-f]{64}"),
    "epoch": re.compile(r"0|[1-9][0-9]{0,18}"),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """broker: its name. epoch: of what it had revoked."""

    broker: str
    head: Head
    at: datetime
    epoch: int

    def sign(self, key: ed25519.Ed25519PrivateKey) -> bytes:
        """The signed document, as JSON."""
        return seal_envelope(
            "checkpoint",
            canonical(
                {
                    "broker": self.broker,
                    "number": str(self.head.number),
                    "hash": self.head.hash.hex(),
                    "at": instant(self.at),
                    "epoch": str(self.epoch),
                }
            ),
            key,
        )

    def __str__(self) -> str:
        return f"checkpoint of {instant(self.at)}"


def read_checkpoint(document: bytes, keys: TrustedKeys) -> Checkpoint:
    """Raises Malformed, and Rejected where none of `keys` signed it."""
    opened = open_envelope(Envelope.parse(document), "checkpoint", keys)
    said: Any = read_json(opened.payload, where="checkpoint", limit=LIMIT)
    if (
        not isinstance(said, dict)
        or set(said) != _MEMBERS
        or not all(isinstance(one, str) for one in said.values())
    ):
        raise _broken("checkpoint", f"texts: {', '.join(sorted(_MEMBERS))}")
    for name, form in _FORMS.items():
        if not form.fullmatch(said[name]):
            raise _broken(name, f"a text of the form {form.pattern}")
    try:
        at = read_instant(said["at"])
    except ValueError:
        raise _broken("at", "an instant") from None
    head = Head(int(said["number"]), bytes.fromhex(said["hash"]))
    return Checkpoint(said["broker"], head, at, int(said["epoch"]))


def _broken(where: str, expected: str) -> Malformed:
    return Malformed(problem("kbs.checkpoint.malformed", where, expected=expected))
