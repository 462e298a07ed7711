"""What is told of the broker's work to those who watch it: counts, times and spans. Nothing is decided here.

The broker and its database name steps and failures; an observer is told of them and of the refusal that ended one. No
observer is given a body, a cookie, a path or a name (T-CT): there is nothing for it to leak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import wraps
from typing import Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar

Step = Literal[
    "challenge",
    "attest",
    "attest.parse",
    "attest.verify",
    "release",
    "release.facts",
    "release.decide",
    "release.unwrap",
    "release.commit",
]
WHOLE: Final[frozenset[Step]] = frozenset({"challenge", "attest", "release"})
"""Steps that answer a guest; all others are a part of one of them."""
Part = Literal["database", "key-store"]


class Observer(Protocol):
    def step(self, name: Step) -> AbstractContextManager[None]:
        """Around one step. What is raised in it goes on as it was."""

    def failed(self, part: Part) -> None:
        """What the broker rests on did not serve."""


class Nobody:
    """Watches nothing."""

    def step(self, name: Step) -> AbstractContextManager[None]:
        return nullcontext()

    def failed(self, part: Part) -> None:
        pass


NOBODY: Final = Nobody()


class Several:
    """All of them, the first outermost."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    @contextmanager
    def step(self, name: Step) -> Iterator[None]:
        with ExitStack() as entered:
            for observer in self._observers:
                entered.enter_context(observer.step(name))
            yield

    def failed(self, part: Part) -> None:
        for observer in self._observers:
            observer.failed(part)


class Observed(Protocol):
    """Has somebody who watches."""

    observer: Observer


S = TypeVar("S", bound=Observed)
P = ParamSpec("P")
R = TypeVar("R")


def observed(name: Step) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """The method as a step that `self.observer` is told of."""

    def around(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @wraps(method)
        def told(self: S, /, *args: P.args, **keywords: P.kwargs) -> R:
            with self.observer.step(name):
                return method(self, *args, **keywords)

        return told

    return around
