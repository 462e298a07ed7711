"""Whatever a kernel, a TPM or a host answers: a value or CollectError, nothing else."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.collect.azure import AK, PCRS, collect_azure
from attest.collect.errors import CollectError
from attest.collect.metadata import Metadata
from attest.collect.quote_service import quote_of
from attest.collect.tpm2 import Tpm
from attest.collect.tsm import report_data_of

ANY = st.binary(max_size=200)


def never(_: float) -> None:
    """No time passes."""


def answered(body: bytes, code: int = 0) -> bytes:
    """A well-framed answer around any body, so that the parsers behind the frame are reached."""
    return struct.pack(">HII", 0x8002, 10 + len(body), code) + body


@given(ANY, st.booleans(), st.sampled_from([0, 0x18B, 0x28B, 0x922, 0x101]))
def test_a_tpms_answers(body: bytes, framed: bool, code: int) -> None:
    tpm = Tpm(lambda _: answered(body, code) if framed else body, sleep=never)
    for call in (
        lambda: tpm.nv_public(1),
        lambda: tpm.nv_read(1),
        lambda: tpm.nv_write(1, bytes(64)),
        lambda: tpm.quote(AK, bytes(48), PCRS),
        lambda: tpm.pcr_read(PCRS),
        lambda: collect_azure(tpm, Metadata("http://127.0.0.1:9"), bytes(64), sleep=never),
    ):
        with contextlib.suppress(CollectError):
            call()


@given(
    st.sampled_from(["snp", "tdx"]), ANY, st.integers(0, 2000), st.sampled_from([b"\x04\0", b"\x05\0", b""])
)
def test_report_data_of_any_blob(tee: str, blob: bytes, size: int, head: bytes) -> None:
    with contextlib.suppress(CollectError):
        assert len(report_data_of(tee, (head + blob).ljust(size, b"\2"))) == 64


@given(ANY)
@settings(deadline=None, max_examples=50)
def test_a_quoting_services_answers(message: bytes) -> None:
    here, there = socket.socketpair()

    def serve() -> None:
        with there:
            there.recv(2000)
            there.sendall(struct.pack(">I", len(message)) + message)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(CollectError):
        quote_of(bytes(1024), lambda: here)
    thread.join(20)
