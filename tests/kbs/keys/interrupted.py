"""A key store in files during whose work something happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kbs.keys import Wrapped
from kbs.keys.file import FileStore
from kbs.keys.wrap import KeyWrap
from tests.kbs.conftest import Bench


@dataclass(frozen=True, slots=True)
class Interrupted(FileStore):
    """at_unwrap, at_wrap: what happens before each. calls: what was asked."""

    at_unwrap: list[Callable[[], None]] = field(default_factory=list)
    at_wrap: list[Callable[[], None]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        self.calls.append("wrap")
        if self.at_wrap:
            self.at_wrap.pop(0)()
        return FileStore.wrap(self, key, context)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        self.calls.append("unwrap")
        if self.at_unwrap:
            self.at_unwrap.pop(0)()
        return FileStore.unwrap(self, wrapped, context)


def interrupted(bench: Bench) -> Interrupted:
    """The broker's own key files, watched."""
    store = Interrupted(Path(bench.folder / "keys"))
    use(bench, KeyWrap(store))
    return store


def use(bench: Bench, wrap: KeyWrap) -> None:
    """What a start with another configuration of keys would do."""
    object.__setattr__(bench.keys, "wrap", wrap)
