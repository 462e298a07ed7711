"""A token that is gone, slow, restarted, closed to us, or would give its keys out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kbs.keys import KeyStore, KeyStoreError, KeyStoreUnavailable
from kbs.keys.hsm import AT_ONCE
from kbs.keys.wrap import KeyWrap
from tests.kbs.keys.conftest import CONTEXT, PIN, HsmBench

NOW = datetime(2026, 12, 1, tzinfo=UTC)
KEY = bytes(range(32))


def opened(bench: HsmBench, seconds: float = 20.0) -> KeyStore:
    store = bench.store(seconds)
    if not store.keks():
        store.rotate(NOW)
    return store


def with_session(bench: HsmBench, act: str) -> None:
    """Something done to the token by others: a process of its own, as a module is loaded once in each."""
    program = (
        "import sys, pkcs11\n"
        "from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass\n"
        "token = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2])\n"
        f"with token.open(rw=True, user_pin='{PIN}') as session:\n    {act}\n"
    )
    command = [sys.executable, "-c", program, str(bench.address.module), bench.address.token]
    subprocess.run(command, check=True, capture_output=True)


def generate(**template: Any) -> str:
    attributes = ", ".join(f"Attribute.{name}: {value!r}" for name, value in template.items())
    return (
        "session.generate_key(KeyType.AES, 256, id=bytes([1]), label='kbs', store=True, "
        f"capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT, template={{{attributes}}})"
    )


GOOD = {"SENSITIVE": True, "EXTRACTABLE": False}


def test_a_key_made_here_never_leaves_the_token(hsm: HsmBench) -> None:
    opened(hsm)
    with_session(
        hsm,
        "key, = session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY}); "
        "assert key[Attribute.SENSITIVE] and not key[Attribute.EXTRACTABLE] and key[Attribute.PRIVATE]",
    )


def test_a_key_that_others_made_serves_until_a_newer_one_does(hsm: HsmBench) -> None:
    with_session(hsm, generate(**GOOD))
    store = hsm.store()
    (kek,) = store.keks()
    assert kek.id.endswith("/01")
    assert kek.created is None
    wrapped = store.wrap(KEY, CONTEXT)
    made = store.rotate(NOW)
    assert made.created == NOW
    assert store.keks() == [kek, made]
    assert store.unwrap(wrapped, CONTEXT) == KEY


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (generate(SENSITIVE=True, EXTRACTABLE=True), "would give the key 01 out"),
        (generate(SENSITIVE=False, EXTRACTABLE=False), "would give the key 01 out"),
        (generate(**GOOD).replace("256", "128"), "not the 256 bits"),
        (generate(**GOOD).replace("bytes([1])", "b''"), "has no CKA_ID"),
    ],
)
def test_a_key_that_would_not_keep_secrets_is_refused(hsm: HsmBench, act: str, words: str) -> None:
    with_session(hsm, act)
    with pytest.raises(KeyStoreError, match=words):
        hsm.store().wrap(KEY, CONTEXT)


def test_two_keys_of_one_id_both_open_what_they_wrapped(hsm: HsmBench) -> None:
    with_session(hsm, generate(**GOOD))
    store = hsm.store()
    wrapped = store.wrap(KEY, CONTEXT)
    with_session(hsm, generate(**GOOD))
    other = hsm.store()
    assert len(other.keks()) == 1
    assert other.unwrap(wrapped, CONTEXT) == KEY
    assert other.unwrap(other.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_a_key_is_not_made_before_the_one_that_wraps(hsm: HsmBench) -> None:
    store = opened(hsm)
    for moment in (NOW, NOW.replace(year=2025)):
        with pytest.raises(KeyStoreError, match="not older than this moment"):
            store.rotate(moment)


def test_no_token_of_that_name_no_module_no_pin(hsm: HsmBench) -> None:
    for change, words in (
        ({"token": "nobody's"}, "NoSuchToken"),
        ({"module": Path("/nonexistent.so")}, "the token .* fails with"),
    ):
        with pytest.raises(KeyStoreUnavailable, match=words):
            replace(hsm, address=replace(hsm.address, **change)).store().keks()
    hsm.address.pin.chmod(0o644)
    with pytest.raises(KeyStoreError, match="open to others"):
        hsm.store().keks()
    hsm.address.pin.unlink()
    with pytest.raises(KeyStoreError, match="No such file"):
        hsm.store().keks()


def test_without_its_extra_it_names_it(hsm: HsmBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbs.keys.pkcs11.find_spec", lambda name: None)
    with pytest.raises(KeyStoreError, match=r"pip install 'attest\[pkcs11\]'"):
        hsm.store()


# -- faults --------------------------------------------------------------------------------------------


def test_sessions_that_a_restarted_token_forgot_are_opened_anew(faulty_hsm: HsmBench) -> None:
    store = opened(faulty_hsm)
    wrapped = store.wrap(KEY, CONTEXT)
    for _ in range(2):
        (faulty_hsm.faults / "restarted").touch()
        assert store.unwrap(wrapped, CONTEXT) == KEY


def test_a_failure_that_passes_is_not_taken_for_a_changed_row(faulty_hsm: HsmBench) -> None:
    store = opened(faulty_hsm)
    wrapped = store.wrap(KEY, CONTEXT)
    (faulty_hsm.faults / "hiccups").touch()
    assert store.unwrap(wrapped, CONTEXT) == KEY


def test_a_token_that_is_gone_is_said_to_be_and_serves_when_it_is_back(faulty_hsm: HsmBench) -> None:
    store = opened(faulty_hsm)
    wrapped = store.wrap(KEY, CONTEXT)
    (faulty_hsm.faults / "removed").touch()
    for _ in range(2):
        with pytest.raises(KeyStoreUnavailable, match=r"the token .* fails with DeviceRemoved"):
            store.unwrap(wrapped, CONTEXT)
    (faulty_hsm.faults / "removed").unlink()
    assert store.unwrap(wrapped, CONTEXT) == KEY


def test_a_module_that_crashes_takes_nobody_with_it(faulty_hsm: HsmBench) -> None:
    store = opened(faulty_hsm)
    wrapped = store.wrap(KEY, CONTEXT)
    (faulty_hsm.faults / "crashes").touch()
    with pytest.raises(KeyStoreUnavailable, match="ended its process"):
        store.unwrap(wrapped, CONTEXT)
    (faulty_hsm.faults / "crashes").unlink()
    assert store.unwrap(wrapped, CONTEXT) == KEY


def test_a_token_that_hangs_is_given_up_in_time_and_serves_when_it_is_back(faulty_hsm: HsmBench) -> None:
    opened(faulty_hsm)
    store = faulty_hsm.store(seconds=2.0)
    wrapped, other = store.wrap(KEY, CONTEXT), store.wrap(KEY[::-1], CONTEXT)
    (faulty_hsm.faults / "hangs").touch()
    for _ in range(AT_ONCE + 1):
        start = time.monotonic()
        with pytest.raises(KeyStoreUnavailable, match="did not answer in 2 s"):
            store.unwrap(wrapped, CONTEXT)
        assert time.monotonic() - start < 4
    (faulty_hsm.faults / "hangs").unlink()
    time.sleep(0.2)
    assert store.unwrap(other, CONTEXT) == KEY[::-1], "what was given up is not the answer to what follows"
    assert store.unwrap(wrapped, CONTEXT) == KEY


def test_a_wrong_pin_is_tried_once_until_the_file_changes(faulty_hsm: HsmBench) -> None:
    opened(faulty_hsm)
    right = faulty_hsm.address.pin.read_bytes()
    store, before = faulty_hsm.store(), faulty_hsm.logins()
    faulty_hsm.address.pin.write_text("0000")
    for _ in range(3):
        with pytest.raises(KeyStoreUnavailable, match="does not accept the PIN in"):
            store.keks()
    assert faulty_hsm.logins() == before + 1, "some tokens lock for ever after three wrong PINs"
    faulty_hsm.address.pin.write_bytes(right)
    assert len(store.keks()) == 1


def test_a_token_that_leaves_the_context_out_is_not_used(faulty_hsm: HsmBench) -> None:
    store = opened(faulty_hsm)
    KeyWrap(store).prove()
    (faulty_hsm.faults / "forgetful").touch()
    with pytest.raises(KeyStoreError, match="does not bind a key to its context"):
        KeyWrap(store).prove()


def test_the_process_ends_with_its_parent(hsm: HsmBench) -> None:
    """Killed outright, a broker leaves nobody behind who is logged in to the token."""
    opened(hsm)
    address = hsm.address
    program = (
        "import sys, os; from pathlib import Path; from kbs.keys.hsm import Hsm\n"
        "from kbs.keys.hsm_worker import TokenAddress\n"
        "hsm = Hsm(TokenAddress(Path(sys.argv[1]), sys.argv[2], 'kbs', Path(sys.argv[3])), 20)\n"
        "hsm.ask(do='keys'); print(hsm._idle[0]._process.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", program, str(address.module), address.token, str(address.pin)]
    child = int(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    end = time.monotonic() + 10
    while time.monotonic() < end and _lives(child):
        time.sleep(0.05)
    assert not _lives(child)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_pin_is_in_no_argument_and_no_environment(hsm: HsmBench) -> None:
    store = opened(hsm)
    process: Any = store._hsm._idle[0]._process.pid  # type: ignore[attr-defined]
    for name in ("cmdline", "environ"):
        assert PIN.encode() not in Path(f"/proc/{process}/{name}").read_bytes()
    assert PIN not in " ".join(os.environ.values())
