"""What can go wrong while collecting, as one type with codes.

A machine that cannot prove itself was not judged: this is neither Malformed nor Rejected. Every failure says
which module, permission or package is missing and what to do.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from attest.errors import AttestError
from attest.problems import problem

_BY_ERRNO = {
    errno.ENXIO: "collect.no-provider",
    errno.ENODEV: "collect.no-provider",
    errno.EACCES: "collect.permission",
    errno.EPERM: "collect.permission",
    errno.EBUSY: "collect.busy",
    errno.EINVAL: "collect.bad-request",
    errno.ETIMEDOUT: "collect.timeout",
    errno.EINTR: "collect.timeout",
    errno.EFBIG: "collect.too-large",
    errno.ENOENT: "collect.unsupported",
}


class CollectError(AttestError):
    """Evidence could not be collected; `code` is that of the first problem."""

    @property
    def code(self) -> str:
        return self.problems[0].code


def failure(
    code: str,
    *,
    message: str | None = None,
    where: str | None = None,
    expected: object = None,
    found: object = None,
    remedy: str | None = None,
) -> CollectError:
    """A CollectError with the table's sentence and remedy, or these."""
    told = problem(code, message=message, where=where, expected=expected, found=found)
    return CollectError(replace(told, remedy=remedy) if remedy else told)


def of_os_error(error: OSError, *, where: str, remedy: str | None = None) -> CollectError:
    """The CollectError for what the kernel said; `where` names the file."""
    number = error.errno or 0
    return failure(
        _BY_ERRNO.get(number, "collect.failed"),
        where=where,
        found=f"{errno.errorcode.get(number, number)}: {error.strerror or error}",
        remedy=remedy,
    )
