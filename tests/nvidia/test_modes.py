"""The mode: what flag, protected PCIe status and switch identifiers say together."""

from __future__ import annotations

import pytest

from attest.checks import CheckLog
from attest.nvidia.modes import Mode, read_mode
from attest.nvidia.opaque import Opaque

ON, OFF, LIST = b"\xaa", b"\x55", bytes(144)


def mode(flag: int | None, status: bytes | None, pdis: bytes | None) -> tuple[Mode, CheckLog]:
    fields = [(34, b"\x01\0"), (36, flag.to_bytes(2, "little"))] if flag is not None else []
    fields += [(21, status)] if status is not None else []
    fields += [(22, pdis)] if pdis is not None else []
    log = CheckLog()
    return read_mode(Opaque.read(tuple(fields), "gpu"), "gpu.mode", log), log


@pytest.mark.parametrize(
    ("flag", "status", "pdis", "name", "derived"),
    [(0, OFF, None, "spt", False), (0, None, None, "spt", False), (1, OFF, None, "mpt", False),
     (1, None, None, "mpt", False), (2, ON, LIST, "ppcie", False), (None, OFF, None, "spt", True),
     (None, None, None, None, False), (None, ON, LIST, None, False), (3, OFF, None, None, False)],
)  # fmt: skip
def test_fields_that_agree_name_the_mode(
    flag: int | None, status: bytes | None, pdis: bytes | None, name: str | None, derived: bool
) -> None:
    found, log = mode(flag, status, pdis)
    assert (found.name, found.derived) == (name, derived)
    assert log.good


@pytest.mark.parametrize(
    ("flag", "status", "pdis"),
    [(0, ON, None), (0, OFF, LIST), (0, ON, LIST), (0, None, LIST), (1, ON, None), (1, OFF, LIST), (2, OFF, LIST),
     (2, None, LIST), (2, ON, None), (2, OFF, None), (None, OFF, LIST)],
)  # fmt: skip
def test_t_gpu_mode_fields_that_contradict_each_other_are_refused(
    flag: int | None, status: bytes | None, pdis: bytes | None
) -> None:
    found, log = mode(flag, status, pdis)
    assert found.name is None
    assert [problem.code for problem in log.problems] == ["nvidia.mode.contradiction"]
