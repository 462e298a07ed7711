"""The log: one line an event on standard error, ours and the server's alike, each with its request's id.

What an error says is not written, only its kind: its text, and the values in a traceback, may be what a guest or an owner
sent (T-CT).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal

import structlog
from structlog.typing import Processor

Format = Literal["json", "text"]
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def to_stderr(form: Format = "json", level: str = "info") -> None:
    """level: of LEVELS; what is less is not written."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _kind_of_error,
    ]
    written: Processor = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, written],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # What libraries say goes by Python's own logging.
    handler = _Libraries()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, written],
        )
    )
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        # Whoever configured it in this process before would write what it says past us, values and all.
        own = logging.getLogger(name)
        own.handlers, own.propagate, own.disabled = [], True, False
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _Libraries)] + [handler]
    root.setLevel(max(LEVELS[level], logging.WARNING))


class _Libraries(logging.Handler):
    """Writes to standard error, whatever that is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        # What a library would fill into its sentence may be a header or a path: the sentence alone is written.
        bare = logging.LogRecord(
            record.name, record.levelno, "", 0, str(record.msg), None, record.exc_info, record.funcName
        )
        sys.stderr.write(self.format(bare) + "\n")
        sys.stderr.flush()


def _kind_of_error(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    error = event.pop("exc_info", None)
    kind = error[0] if isinstance(error, tuple) else type(error) if error else None
    if isinstance(kind, type):
        event["error"] = kind.__name__
    event.pop("stack_info", None)
    record = event.get("_record")
    if record is not None:
        record.exc_info = record.exc_text = None
    return event
