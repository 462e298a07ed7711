"""A transit server that is slow, gone, sealed, says no, or holds a key that would not keep secrets."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kbs.keys import KeyStoreError, KeyStoreUnavailable
from kbs.keys.transit import TransitStore
from kbs.keys.wrap import KeyWrap
from tests.kbs.keys.conftest import CONTEXT, TransitBench

pytestmark = pytest.mark.xdist_group("bao")
NOW = datetime(2026, 12, 1, tzinfo=UTC)
KEY = bytes(range(32))


def opened(bench: TransitBench, seconds: float = 20.0) -> TransitStore:
    if not bench.store().keks():
        bench.store().rotate(NOW)
    return bench.store(seconds)


def path(bench: TransitBench) -> str:
    return f"transit/keys/{bench.address.key}"


def test_the_key_that_it_makes_keeps_secrets(transit: TransitBench) -> None:
    opened(transit)
    facts = transit.server.api("GET", path(transit))["data"]
    assert facts["type"] == "aes256-gcm96"
    assert not facts["exportable"]
    assert not facts["allow_plaintext_backup"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"type": "rsa-2048"}, "of type rsa-2048, which binds no context"),
        ({"type": "aes256-gcm96", "derived": True}, "derives its keys"),
        ({"type": "aes256-gcm96", "exportable": True}, "would give .* out"),
        ({"type": "aes256-gcm96", "allow_plaintext_backup": True}, "would give .* out"),
    ],
)
def test_a_key_that_would_not_keep_secrets_is_refused(
    transit: TransitBench, settings: dict[str, object], words: str
) -> None:
    transit.server.api("POST", path(transit), **settings)
    with pytest.raises(KeyStoreError, match=words):
        KeyWrap(transit.store()).current()


@pytest.mark.parametrize("kind", ["aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305"])
def test_other_kinds_of_authenticated_keys_serve(transit: TransitBench, kind: str) -> None:
    transit.server.api("POST", path(transit), type=kind)
    KeyWrap(transit.store()).prove()


def test_the_token_may_do_no_more_than_it_must(transit: TransitBench) -> None:
    """What the page on keys says a token needs is enough, and what it lacks is said by name."""
    key = transit.address.key
    with pytest.raises(KeyStoreUnavailable, match=f"use encrypt/{key}"):
        transit.store().wrap(KEY, CONTEXT)  # else the server would make a key of a kind that nobody chose
    store = opened(transit)
    transit.server.api("DELETE", f"sys/policies/acl/{key}-create")
    KeyWrap(store).prove()
    first, second = store.keks()[0], store.rotate(NOW)
    store.retire(first)
    assert store.keks() == [second]
    transit.server.api(
        "PUT",
        f"sys/policies/acl/{key}",
        policy=f'path "transit/decrypt/{key}" {{ capabilities = ["update"] }}',
    )
    with pytest.raises(KeyStoreUnavailable, match=f"does not let the token in .* use encrypt/{key}"):
        store.wrap(KEY, CONTEXT)
    with pytest.raises(KeyStoreUnavailable, match=f"use keys/{key}"):
        store.rotate(NOW)


def test_a_token_that_was_replaced_in_its_file_is_used_at_once(transit: TransitBench) -> None:
    store = opened(transit)
    good = transit.address.token.read_bytes()
    wrapped = store.wrap(KEY, CONTEXT)
    for bad in ("hvs.nothing", "", "two\nlines"):
        transit.address.token.write_text(bad)
        with pytest.raises(KeyStoreError, match=r"does not let the token|holds no token"):
            store.unwrap(wrapped, CONTEXT)
    transit.address.token.write_bytes(good)
    assert store.unwrap(wrapped, CONTEXT) == KEY
    transit.address.token.chmod(0o640)
    with pytest.raises(KeyStoreError, match="open to others"):
        store.unwrap(wrapped, CONTEXT)


def test_a_server_that_hangs_is_given_up_in_time_and_serves_when_it_is_back(transit: TransitBench) -> None:
    store = opened(transit, seconds=1.0)
    wrapped = store.wrap(KEY, CONTEXT)
    transit.server.stop()
    try:
        for one in (store, transit.store(1.0)):  # a connection that was open, and a new one
            start = time.monotonic()
            with pytest.raises(KeyStoreUnavailable, match="did not answer in 1 s"):
                one.unwrap(wrapped, CONTEXT)
            assert time.monotonic() - start < 3
    finally:
        transit.server.go_on()
    assert store.unwrap(wrapped, CONTEXT) == KEY


def test_nobody_at_the_address(transit: TransitBench) -> None:
    nobody = replace(transit.address, url="https://127.0.0.1:9")
    with pytest.raises(KeyStoreUnavailable, match=r"https://127\.0\.0\.1:9 does not answer: ConnectError"):
        TransitStore(nobody, 5).unwrap(opened(transit).wrap(KEY, CONTEXT), CONTEXT)


def test_a_server_under_another_ca_gets_no_token(transit: TransitBench) -> None:
    with pytest.raises(KeyStoreUnavailable, match="does not answer: ConnectError"):
        TransitStore(replace(transit.address, ca=None), 5).keks()
    transit.address.token.with_name("no.pem").write_text("no certificate")
    with pytest.raises(KeyStoreError, match=r"no\.pem: no certificates in PEM"):
        TransitStore(replace(transit.address, ca=transit.address.token.with_name("no.pem")), 5)


def test_a_mount_that_is_not_there_is_named(transit: TransitBench) -> None:
    elsewhere = TransitStore(replace(transit.address, mount="elsewhere"), 5)
    with pytest.raises(KeyStoreError, match=r"does not let the token|has no key"):
        elsewhere.wrap(KEY, CONTEXT)


def test_retiring_takes_every_earlier_version_with_it(transit: TransitBench) -> None:
    store = opened(transit)
    store.rotate(NOW)
    store.rotate(NOW)
    one, two, three = store.keks()
    assert store.goes_with(two) == [one.id, two.id]
    store.retire(two)
    assert store.keks() == [three]


def test_a_namespace_goes_with_each_request(transit: TransitBench) -> None:
    transit.server.api("POST", "sys/namespaces/team")
    within = replace(transit.address, namespace="team")
    assert TransitStore(within, 5).place.startswith("transit:team:transit/")
    with pytest.raises(KeyStoreUnavailable, match="does not let the token"):
        TransitStore(within, 5).keks()
