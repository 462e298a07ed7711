"""`kbs serve`, counting what its commits wait: run as a process by `kbs_release`.

A commit is timed where SQLAlchemy hands it to the driver. What it waits is its time less the thread's own processor
time, which is counted with the process's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

_waited = 0.0
_lock = threading.Lock()


def _count_commits() -> None:
    commit: Callable[[DefaultDialect, Any], None] = DefaultDialect.do_commit

    def counted(self: DefaultDialect, connection: Any) -> None:
        global _waited
        wall, own = time.perf_counter(), time.thread_time()
        commit(self, connection)
        waited = (time.perf_counter() - wall) - (time.thread_time() - own)
        with _lock:
            _waited += waited

    DefaultDialect.do_commit = counted  # type: ignore[method-assign]


def _tell(file: Path) -> None:
    """Several times a second, in place: whoever reads it reads a whole number."""
    while True:
        new = file.with_suffix(".new")
        new.write_text(f"{_waited}")
        os.replace(new, file)
        time.sleep(0.1)


if __name__ == "__main__":
    from kbs.cli.main import main

    _count_commits()
    threading.Thread(target=_tell, args=(Path(sys.argv.pop(1)),), daemon=True).start()
    sys.exit(main())
