"""The evidence that a suite names: files beside it, or what the simulator makes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.anchors import Anchors
from attest.binding import Expected
from attest.errors import AttestError
from attest.memory import Memory
from attest.policy.suite import Source
from attest.policy.trial import Unfit
from attest.verified import Verified

if TYPE_CHECKING:
    from attest.simulator import Simulated, Simulator

_CHALLENGE = hashlib.sha256(b"challenge of a policy test").digest()
KEY = {
    "kty": "EC",
    "crv": "P-256",
    "alg": "ECDH-ES+A256KW",
    "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
    "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
}
"""The generator of P-256: a key whose secret is 1, so that nobody takes it for one."""

_KINDS = ("snp", "tdx", "azure", "gpu", "switch", "fabric", "machine")
_BOUND = dict.fromkeys(("nonce", "key", "report_data", "reportdata"), "challenge and key are the test's own")


class Evidence:
    """Verifies a suite's evidence, each once an instant. folder: where the suite stands."""

    def __init__(self, folder: Path, anchors: Anchors, state: Path | None) -> None:
        self._folder = folder
        self._anchors = anchors
        self._state = state
        self._simulator: Simulator | None = None
        self._found: dict[tuple[str, str], Verified | AttestError] = {}

    def __call__(self, source: Source, at: datetime) -> Verified:
        """Raises Malformed and Rejected as `verify` does; Unfit where the simulator does not know a setting."""
        key = (f"{source.place}{source.files}", at.isoformat())
        if key not in self._found:
            try:
                self._found[key] = self._verify(source, at)
            except AttestError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, AttestError):
            raise found
        return found

    def _verify(self, source: Source, at: datetime) -> Verified:
        from attest.loader import load
        from attest.verifier import verify

        if source.simulate is None:
            evidence, endorsements = load(*(self._folder / file for file in source.files))
            # A memory of nothing: what an owner's verifier has after its first answer.
            return verify(
                evidence,
                endorsements=endorsements,
                at=at,
                expected=self._expected(source),
                anchors=self._anchors,
                memory=Memory(),
            )
        made, expected = self._simulate(source, at)
        return verify(
            made.evidence,
            endorsements=made.endorsements,
            at=at,
            expected=expected,
            anchors=self._anchors.with_simulator(made.roots_pem),
            memory=Memory(),
        )

    def _expected(self, source: Source) -> Expected:
        from attest.cli.options import read_key

        said = source.expected
        try:
            values: dict[str, Any] = {
                name.replace("-", "_"): bytes.fromhex(text)
                for name, text in said.items()
                if name not in ("key", "origin")
            }
            if "key" in said:
                file = self._folder / said["key"]
                values["key"] = read_key(said["key"] if said["key"].lstrip().startswith("{") else str(file))
            if "origin" in said:
                values["origin"] = said["origin"]
            return Expected(**values)
        except ValueError as error:
            raise Unfit(f"line {source.place.line}: {error}") from None

    def _simulate(self, source: Source, at: datetime) -> tuple[Simulated, Expected]:
        from attest.simulator.settings import read_settings

        said = source.simulate or {}
        kind = str(said.get("kind"))
        try:
            if kind not in _KINDS:
                raise ValueError(f"kind is one of {', '.join(_KINDS)}")
            given = ((name, text) for name, text in _settings(said) if name != "kind")
            keywords, expected = _bound(kind, read_settings(kind, given, elsewhere=_BOUND))
            return getattr(self._simulator_at(at), kind)(**keywords), expected
        except ValueError as error:
            raise Unfit(f"line {source.place.line}: simulate: {error}") from None

    def _simulator_at(self, at: datetime) -> Simulator:
        from attest.simulator import Simulator

        if self._simulator is None:
            if self._state is not None and self._state.exists():
                self._simulator = Simulator.load(self._state, at)
            else:
                self._simulator = Simulator.create(at)
        return self._simulator.moved_to(at)

    def close(self) -> None:
        """Keep the simulator's keys for the next run, where a file was named for them."""
        if self._state is not None and self._simulator is not None:
            self._simulator.save(self._state)


def _settings(said: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """FIELD or FIELD.PART, and the text of each."""
    for name, value in said.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{above}{name}.")
        else:
            yield above + name, value


def _bound(kind: str, keywords: dict[str, Any]) -> tuple[dict[str, Any], Expected]:
    """Evidence of tests answers a challenge and carries a key, as a guest's does."""
    if kind in ("snp", "tdx"):
        report_data = hashlib.sha512(_CHALLENGE).digest()
        return {**keywords, "report_data": report_data}, Expected(report_data=report_data)
    if kind in ("machine", "azure"):
        return {**keywords, "nonce": _CHALLENGE, "key": KEY}, Expected(
            nonce=_CHALLENGE, key=KEY, age_seconds=1
        )
    return {**keywords, "nonce": _CHALLENGE}, Expected(gpu_nonce=_CHALLENGE)
