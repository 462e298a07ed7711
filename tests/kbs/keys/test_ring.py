"""Session and token keys: kept over a start, followed by others without a guest noticing (T-EPHEMERAL)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kbs.keys import KeyStoreError
from kbs.keys.ring import KeyRing
from kbs.keys.succession import OVERLAP
from kbs.token import Tokens
from tests.kbs.conftest import NOON, PATH, SECRET, Bench
from tests.kbs.test_release import refused


def public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_t_ephemeral_keys_are_the_same_after_a_start_and_for_each_replica(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    one, two = KeyRing.open(tmp_path), KeyRing.open(tmp_path)
    assert public(one.token) == public(two.token)
    assert one.session == two.session
    one.rotate_token(NOON)
    one.rotate_session(NOON)
    assert public(one.token) == public(two.token), "a replica on the same folder signs with the new key too"
    assert one.session == two.session
    assert [public(key) for key in KeyRing.open(tmp_path).tokens(NOON)] == [
        public(key) for key in one.tokens(NOON)
    ]


def test_t_ephemeral_a_key_counts_until_what_it_made_has_ended(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    ring = KeyRing.open(tmp_path)
    token, session = public(ring.token), ring.session
    assert ring.rotate_token(NOON) == ring.rotate_session(NOON) == []
    assert public(ring.token) != token
    assert ring.session != session
    assert [public(key) for key in ring.tokens(NOON)] == [public(ring.token), token]
    assert ring.sessions(NOON) == [ring.session, session]
    later = NOON + OVERLAP
    assert [public(key) for key in ring.tokens(later)] == [public(ring.token)]
    assert ring.sessions(later) == [ring.session]
    assert timedelta(seconds=300) < OVERLAP, "nothing that is signed or sealed lives longer"
    assert ring.rotate_token(later) == ["token.pem"]
    assert ring.rotate_session(later) == ["session.key"]


def test_a_broker_without_one_of_its_keys_does_not_open(tmp_path: Path) -> None:
    for name, words in (
        ("wrap.key", "no key yet"),
        ("session.key", "no session.key"),
        ("token.pem", "no token.pem"),
    ):
        folder = tmp_path / name
        KeyRing.create(folder)
        (folder / name).unlink()
        with pytest.raises(KeyStoreError, match=words):
            KeyRing.open(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [("session.key", b"short"), ("token.pem", b"no PEM"), ("wrap.key", b"short")],
)
def test_a_file_that_is_no_key_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    KeyRing.create(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KeyStoreError, match=name):
        KeyRing.open(tmp_path)


def test_a_token_key_of_another_curve_is_refused(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "token.pem").write_bytes(other)
    with pytest.raises(KeyStoreError, match="P-256"):
        KeyRing.open(tmp_path)


def test_keys_do_not_show_when_they_are_printed(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    ring = KeyRing.open(tmp_path)
    assert ring.session.seal.hex() not in repr(ring).lower()
    assert repr(ring.session.seal)[2:12] not in repr(ring) + repr(ring.session)


def test_guests_do_not_notice_a_rotation(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    acme.admin("POST", "keys/token/rotate")
    acme.admin("POST", "keys/session/rotate")
    assert guest.resource(PATH) == SECRET
    answer = acme.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {token}"})
    assert guest.key.open(answer.content) == SECRET
    assert acme.guest().boot(PATH) == SECRET
    events = [row["event"] for row in acme.rows() if row["event"].endswith("-rotated")]
    assert events == ["token-key-rotated", "session-key-rotated"]


def test_a_lost_answer_is_given_again_over_a_rotation(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    challenge = guest.http.cookies["kbs-session-id"]
    guest.attest()
    session = guest.http.cookies["kbs-session-id"]
    acme.admin("POST", "keys/session/rotate")
    again = acme.http().post(
        "/kbs/v0/attest", content=guest.body, headers={"cookie": f"kbs-session-id={challenge}"}
    )
    assert again.cookies["kbs-session-id"] == session
    assert guest.resource(PATH) == SECRET


def test_t_ephemeral_a_token_of_a_key_that_ended_stands_for_nobody(acme: Bench) -> None:
    """A token lives half as long as its key counts: only one forged with a stolen key could come later."""
    stolen = acme.keys.token
    acme.admin("POST", "keys/token/rotate")
    for moment, status in ((acme.clock.now, 200), (acme.clock.now + OVERLAP, 401)):
        acme.clock.now = moment
        guest = acme.guest()
        guest.auth()
        token = jwt.decode(guest.attest(), options={"verify_signature": False})
        start = int(moment.timestamp())
        times = {"iat": start, "nbf": start, "exp": start + 300}
        forged = Tokens(lambda _: [stolen]).issue({**token, **times})
        answer = acme.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {forged}"})
        assert answer.status_code == status


def test_t_ephemeral_sessions_of_a_key_that_ended_do_not_open(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    acme.keys.rotate_session(acme.clock.now - OVERLAP)
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)
