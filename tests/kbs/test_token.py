"""Attestation tokens: ours, in time, of one algorithm; everything else stands for nobody."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attest.result.ear import SigningKey
from attest.result.passport.kbs import TYPE
from kbs.broker import Broker
from kbs.clock import Clock
from kbs.keys.ring import KeyRing
from kbs.protocol.tee_key import TeeKey
from kbs.token import InvalidToken, Tokens, TokenTerms
from tests.kbs.conftest import NOON, PATH, Bench
from tests.kbs.twin import b64

KEY = ec.generate_private_key(ec.SECP256R1())
TOKENS = Tokens(lambda _: [KEY])
TERMS = TokenTerms()
KID = SigningKey(KEY).public.kid


def claims(**changes: Any) -> dict[str, Any]:
    start = int(NOON.timestamp())
    whole = {
        "iss": TERMS.issuer,
        "aud": TERMS.audience,
        "iat": start,
        "nbf": start,
        "exp": start + 300,
        "jti": "t",
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def issued(**changes: Any) -> str:
    return TOKENS.issue(claims(**changes))


def test_token_reads_back_and_has_integer_times() -> None:
    payload = TOKENS.read(issued(tee="snp"), NOON)
    assert payload["tee"] == "snp"
    assert all(isinstance(payload[name], int) for name in ("exp", "nbf", "iat"))


def test_token_over_five_minutes_is_not_issued() -> None:
    for seconds in (301, 0, -1):
        with pytest.raises(ValueError):
            issued(exp=int(NOON.timestamp()) + seconds)


@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, True), (299, True), (300, False)])
def test_token_counts_in_its_time_only(seconds: int, good: bool) -> None:
    at = NOON + timedelta(seconds=seconds)
    if good:
        TOKENS.read(issued(), at)
    else:
        with pytest.raises(InvalidToken):
            TOKENS.read(issued(), at)


def forged(header: dict[str, Any], key: Any = KEY, algorithm: str = "ES256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=header)


GOOD = {"typ": TYPE, "kid": KID}
PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(forged(GOOD, key=ec.generate_private_key(ec.SECP256R1())), id="other key"),
        pytest.param(forged(GOOD, key="secret" * 8, algorithm="HS256"), id="HS256"),
        pytest.param(forged(GOOD, key=None, algorithm="none"), id="alg none"),
        pytest.param(forged({**GOOD, "typ": "JWT"}), id="other type"),
        pytest.param(forged({**GOOD, "kid": "x"}), id="other kid"),
        pytest.param(forged({**GOOD, "jku": "https://x"}), id="jku"),
        pytest.param(forged({**GOOD, "jwk": {"kty": "EC"}}), id="jwk"),
        pytest.param(forged({**GOOD, "crit": ["x"]}), id="crit"),
        pytest.param(forged(GOOD, iss="other"), id="issuer"),
        pytest.param(forged(GOOD, aud="other"), id="audience"),
        pytest.param(forged(GOOD, exp=None), id="no exp"),
        pytest.param(forged(GOOD, jti=None), id="no jti"),
        pytest.param(forged(GOOD, exp="never"), id="exp as text"),
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="noise"),
        pytest.param("e30.e30.", id="empty objects"),
    ],
)
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.read(token, NOON)


def test_t_jwtalg_public_key_as_hmac_secret_is_refused() -> None:
    import hashlib
    import hmac

    head = b64(json.dumps({"alg": "HS256", **GOOD}).encode())
    body = issued().split(".")[1]
    mac = b64(hmac.digest(PEM, f"{head}.{body}".encode(), hashlib.sha256))
    with pytest.raises(InvalidToken):
        TOKENS.read(f"{head}.{body}.{mac}", NOON)


def test_token_says_what_it_rests_on_and_holds_no_evidence(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    body = token.split(".")[1]
    payload = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert payload["simulated"] is True
    assert payload["tee"] == "snp"
    assert payload["claims-digest"].startswith("sha384:")
    assert payload["exp"] - payload["iat"] <= 300
    assert payload["cnf"] == {"jkt": TeeKey.from_jwk(guest.key.jwk).thumbprint}
    evidence = json.loads(guest.attestation())["tee-evidence"]
    assert evidence["additional_evidence"][:200] not in json.dumps(payload)
    assert len(token) < 8192


# -- keys that follow one another -------------------------------------------------------------------------


class Ring:
    """Two keys; the second takes over at noon, and the first counts for ten minutes more."""

    old, new = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def __call__(self, now: datetime) -> list[ec.EllipticCurvePrivateKey]:
        if now < NOON:
            return [self.old]
        return [self.new, self.old] if now < NOON + timedelta(minutes=10) else [self.new]


def test_t_ephemeral_a_rotation_ends_no_token_and_the_old_key_ends() -> None:
    tokens = Tokens(Ring())
    start = int(NOON.timestamp())
    before = tokens.issue(claims(iat=start - 60, nbf=start - 60, exp=start + 240))
    after = tokens.issue(claims())
    kids = [jwt.get_unverified_header(token)["kid"] for token in (before, after)]
    assert kids == [SigningKey(key).public.kid for key in (Ring.old, Ring.new)]
    for token in (before, after):
        tokens.read(token, NOON + timedelta(seconds=200))
    late = forged({"typ": TYPE, "kid": kids[0]}, key=Ring.old, exp=start + 10_000)
    tokens.read(late, NOON + timedelta(minutes=9))
    with pytest.raises(InvalidToken):
        tokens.read(late, NOON + timedelta(minutes=10))


def test_t_ephemeral_the_published_keys_are_those_that_count() -> None:
    tokens = Tokens(Ring())
    for minutes, keys in ((-1, [Ring.old]), (1, [Ring.new, Ring.old]), (10, [Ring.new])):
        listed = tokens.jwks(NOON + timedelta(minutes=minutes))["keys"]
        assert [key["kid"] for key in listed] == [SigningKey(key).public.kid for key in keys]
        assert all({"kty", "crv", "x", "y", "alg", "kid", "use"} == set(key) for key in listed)


def test_t_ephemeral_a_second_broker_on_the_same_keys_believes_the_token(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    other = Broker(
        acme.store, KeyRing.open(acme.folder / "keys"), acme.broker._verification, None, Clock(acme.clock)
    )
    assert other.session_of_token(token) is not None


def test_the_key_set_is_served_and_verifies_the_token(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    answer = acme.http().get("/.well-known/jwks.json")
    assert answer.status_code == 200
    keys = jwt.PyJWKSet.from_dict(answer.json())
    (key,) = keys.keys
    payload = jwt.decode(
        token,
        key,
        algorithms=["ES256"],
        audience=TERMS.audience,
        options={"verify_iat": False, "verify_nbf": False},
    )
    assert payload["tee"] == "snp"


# -- for whom -----------------------------------------------------------------------------------------------


def test_t_aud_a_token_for_another_service_stands_for_nobody() -> None:
    for_nobody = Tokens(lambda _: [KEY], TokenTerms(audience=None))
    elsewhere = Tokens(lambda _: [KEY], TokenTerms(issuer="https://other.example"))
    with pytest.raises(InvalidToken):
        for_nobody.read(issued(), NOON)
    with pytest.raises(InvalidToken):
        TOKENS.read(for_nobody.issue(claims(aud=None)), NOON)
    with pytest.raises(InvalidToken):
        elsewhere.read(issued(), NOON)
    assert "aud" not in for_nobody.read(for_nobody.issue(claims(aud=None)), NOON)


@pytest.mark.parametrize("text", ["", "x" * 257, "a\nb"])
def test_terms_are_short_printable_text(text: str) -> None:
    with pytest.raises(ValueError):
        TokenTerms(issuer=text)
    with pytest.raises(ValueError):
        TokenTerms(audience=text)


def test_forged_token_opens_nothing(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    for other in (token[:-4] + "AAAA", forged(GOOD), "x"):
        answer = acme.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {other}"})
        assert answer.status_code == 401
