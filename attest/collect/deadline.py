"""A call that may hang in the kernel or in a driver, waited for only so long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from attest.collect.errors import failure

_Value = TypeVar("_Value")


def within(seconds: float, what: str, call: Callable[[], _Value]) -> _Value:
    """What `call` gives or raises; raises CollectError (`collect.timeout`) when it takes longer.

    A hung call cannot be cancelled. Its thread is a daemon and keeps no lock of ours, so the caller goes on
    and the process may end; whatever the call would clean up, it cleans up when it returns.
    """
    answers: SimpleQueue[tuple[_Value | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            answers.put((None, error))

    threading.Thread(target=work, name=f"collect {what}", daemon=True).start()
    try:
        value, error = answers.get(timeout=max(0.0, seconds))
    except Empty:
        raise failure("collect.timeout", where=what, expected=f"an answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # None only where `call` gives None
