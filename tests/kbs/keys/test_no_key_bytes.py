"""No key stands in an answer, an audit row, a log or an error, whatever goes wrong (T-CT, T-MEM)."""

from __future__ import annotations

import base64
import traceback
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from kbs.keys import KeyStoreError
from kbs.keys.wrap import KeyWrap
from tests.kbs.conftest import PATH, Bench
from tests.kbs.keys.conftest import PIN, HsmBench, TransitBench
from tests.kbs.keys.interrupted import use
from tests.kbs.twin import TwinRefused


class Watched(KeyWrap):
    """Keeps the data keys that pass the door."""

    seen: list[bytes]

    def wrap(self, key: bytes, context: bytes) -> bytes:
        self.seen.append(key)
        return super().wrap(key, context)


def spellings(raw: bytes) -> set[str]:
    """Every form that somebody could print it in, without the ends that depend on what stands beside it."""
    middles = {base64.b64encode(raw[start:]).decode()[:20] for start in range(3)}
    return {raw.hex()[:24], repr(raw)[2:20], raw.decode("latin-1")[:12], *middles}


def life(acme: Bench, wrap: Watched, capsys: pytest.CaptureFixture[str]) -> str:
    """What a broker says in its whole life, and when things go wrong, all in one text."""
    said: list[Any] = []
    use(acme, wrap)
    with structlog.testing.capture_logs() as logs:
        acme.secret("acme", value=b"the newest")
        guest = acme.guest()
        guest.boot(PATH)
        for path in ("keys/rotate", "keys/token/rotate", "keys/session/rotate", "keys/rewrap"):
            said.append(acme.admin("POST", path, json={"after": None} if "rewrap" in path else None).text)
        said.append(acme.admin("GET", "keys").text)
        ((good,),) = acme.sql("SELECT wrapped_key FROM secret_versions WHERE version = 2")
        for bad in (good[:-1] + b"\x00", good[:60], b"", good + good, good[:20] + bytes(80)):
            acme.sql("UPDATE secret_versions SET wrapped_key = :bad", bad=bad)
            try:
                guest.resource(PATH)
            except TwinRefused as refusal:
                said.append(str(refusal))
            said.append(acme.admin("POST", "keys/rewrap", json={"after": None}).text)
            try:
                wrap.unwrap(bad, b"")
            except KeyStoreError:
                said.append(traceback.format_exc())
    said += [logs, acme.rows(), repr(acme.keys), repr(vars(wrap))]
    out, err = capsys.readouterr()
    return f"{said}{out}{err}"


def watched(store: Any, former: Any = ()) -> Watched:
    wrap = Watched(store, former)
    wrap.seen = []
    return wrap


def check(acme: Bench, wrap: Watched, text: str) -> None:
    assert len(wrap.seen) >= 2
    keys: list[bytes] = list(wrap.seen)
    for file in Path(acme.folder / "keys").iterdir():
        raw = file.read_bytes()
        if file.suffix == ".pem":
            key = serialization.load_pem_private_key(raw, None)
            if isinstance(key, ed25519.Ed25519PrivateKey):
                raw = key.private_bytes_raw()
            else:
                assert isinstance(key, ec.EllipticCurvePrivateKey)
                raw = key.private_numbers().private_value.to_bytes(32, "big")
        keys.append(raw)
    assert len(keys) > 5
    for one in keys:
        for spelling in spellings(one):
            assert spelling not in text
    assert "does not open" in text, "nothing went wrong, so nothing was shown"


def test_t_mem_keys_in_files_are_not_said(acme: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    wrap = watched(acme.keys.wrap._store)
    check(acme, wrap, life(acme, wrap, capsys))


def test_t_mem_a_token_and_its_pin_are_not_said(
    acme: Bench, hsm: HsmBench, capfd: pytest.CaptureFixture[str]
) -> None:
    store = hsm.store()
    store.rotate(acme.clock.now.replace(year=2030))
    wrap = watched(store, [acme.keys.wrap._store])
    text = life(acme, wrap, capfd)
    check(acme, wrap, text)
    assert PIN not in text


@pytest.mark.xdist_group("bao")
def test_t_mem_a_server_and_its_token_are_not_said(
    acme: Bench, transit: TransitBench, capfd: pytest.CaptureFixture[str]
) -> None:
    store = transit.store()
    store.rotate(acme.clock.now)
    wrap = watched(store, [acme.keys.wrap._store])
    text = life(acme, wrap, capfd)
    check(acme, wrap, text)
    assert transit.address.token.read_text().strip() not in text


def test_the_search_finds_what_it_looks_for() -> None:
    key = bytes(range(100, 132))
    for said in (
        key.hex(),
        str(key),
        base64.b64encode(b"x" + key).decode(),
        f"{[key]}",
        key.decode("latin-1"),
    ):
        assert any(spelling in said for spelling in spellings(key))
