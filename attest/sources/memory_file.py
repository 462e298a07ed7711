"""The memory of collateral in a file: read, merged and replaced as a whole, by several processes at once.

Unlike a cache it is never thrown away by itself: who can make it disappear can show old lists once more,
so a memory that cannot be read is an error. Simulated evidence has a file of its own: its dates are made
up, and must not hold against the vendors'.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attest.canonical import canonical, read_json
from attest.errors import Malformed
from attest.memory import Memory
from attest.problems import problem
from attest.sources.failure import FetchFailed
from attest.sources.folder import Folder

FORMAT = "attest-memory/1"
MAX_SIZE = 8 << 20
_PATIENCE = 30.0


class MemoryFile:
    """path: need not exist yet. simulated: whether it is kept for evidence under a simulator's root.

    Raises Malformed (`sources.memory-access`) when its folder cannot be used, of the cache's own FetchFailed
    (`sources.cache`).
    """

    def __init__(self, path: Path, *, simulated: bool = False, ours: bool = False) -> None:
        """ours: it lies in the cache folder, which nobody else may write."""
        self.path = path
        self._simulated = simulated
        self._ours = ours
        with self._access("made or opened"):
            self._folder = Folder(path.parent, shared=not ours)

    @property
    def new(self) -> bool:
        """Whether nothing was ever kept here. Raises as `read`."""
        with self._access("looked for"):
            return not self._folder.has(self.path.name)

    def read(self) -> Memory:
        """Empty where there is no file yet. Raises Malformed (`sources.memory`, `sources.memory-access`)."""
        if self.new:
            return Memory()
        data = self._folder.read(self.path.name, MAX_SIZE)
        if data is None:
            raise self._inaccessible(
                "a file that can be read", self._folder.obstacle(self.path.name, MAX_SIZE)
            )
        try:
            document = read_json(data, where=str(self.path), limit=MAX_SIZE)
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise ValueError("another format")
            memory = Memory.from_dict(document["memory"])
            simulated = document["simulated"]
        except (Malformed, ValueError, TypeError, KeyError) as error:
            raise self._unusable("a memory that attest wrote", error) from None
        if simulated is not self._simulated:
            raise self._unusable(
                "simulated evidence's own" if self._simulated else "real evidence's own",
                "the memory of " + ("simulated evidence" if simulated else "real evidence"),
            )
        return memory

    def update(self, seen: Memory) -> Memory:
        """Keep whatever is later of both, on disk too; returns it. Raises as `read`."""
        with self._access("written"), self._folder.locked(self.path.name, patience=_PATIENCE) as held:
            if not held:
                raise self._unusable("free", "another process holds it")
            kept = self.read()
            merged = kept.merged(seen)
            if seen.minimum_evaluation is not None:
                merged = merged.raised(seen.minimum_evaluation)
            if merged != kept or not self._folder.has(self.path.name):
                document = {"format": FORMAT, "memory": merged.as_dict(), "simulated": self._simulated}
                self._folder.write(self.path.name, canonical(document))
        return merged

    @contextmanager
    def _access(self, done: str) -> Iterator[None]:
        """What hinders the folder of a memory that was named is said of that file, not of a cache."""
        try:
            yield
        except FetchFailed as error:
            if self._ours:
                raise
            reason = error.reason
            raise self._inaccessible(
                f"a file that can be {done}", f"{reason.found or 'nothing'}: {self.path.parent}"
            ) from None

    def _inaccessible(self, expected: str, found: str) -> Malformed:
        return Malformed(
            problem("sources.memory-access", where=str(self.path), expected=expected, found=found)
        )

    def _unusable(self, expected: str, found: object) -> Malformed:
        return Malformed(
            problem(
                "sources.memory",
                where=str(self.path),
                expected=expected,
                found=str(found) if found is not None else None,
            )
        )
