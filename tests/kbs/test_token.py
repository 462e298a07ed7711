"""Attestation tokens: ours, in time, of one algorithm; everything else stands for nobody."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kbs.token import AUDIENCE, ISSUER, TYPE, InvalidToken, Tokens
from tests.kbs.conftest import NOON, PATH, Bench
from tests.kbs.twin import b64

KEY = ec.generate_private_key(ec.SECP256R1())
TOKENS = Tokens(KEY)
END = NOON + timedelta(seconds=300)


def issued(**claims: Any) -> str:
    return TOKENS.issue(token_id="t", issued=NOON, expires=END, claims=claims)


def test_token_reads_back_and_has_integer_times() -> None:
    payload = TOKENS.read(issued(tee="snp"), NOON)
    assert payload["tee"] == "snp"
    assert all(isinstance(payload[name], int) for name in ("exp", "nbf", "iat"))


def test_token_over_five_minutes_is_not_issued() -> None:
    for seconds in (301, 0, -1):
        with pytest.raises(ValueError):
            TOKENS.issue(token_id="t", issued=NOON, expires=NOON + timedelta(seconds=seconds), claims={})


@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, True), (299, True), (300, False)])
def test_token_counts_in_its_time_only(seconds: int, good: bool) -> None:
    at = NOON + timedelta(seconds=seconds)
    if good:
        TOKENS.read(issued(), at)
    else:
        with pytest.raises(InvalidToken):
            TOKENS.read(issued(), at)


def forged(header: dict[str, Any], key: Any = KEY, algorithm: str = "ES256", **claims: Any) -> str:
    start = int(NOON.timestamp())
    payload = {"iss": ISSUER, "aud": AUDIENCE, "iat": start, "nbf": start, "exp": start + 300, "jti": "t"}
    payload = {name: value for name, value in (payload | claims).items() if value is not None}
    return jwt.encode(payload, key, algorithm=algorithm, headers=header)


GOOD = {"typ": TYPE, "kid": TOKENS.key_id}
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
    assert len(token) < 2048


def test_forged_token_opens_nothing(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    for other in (token[:-4] + "AAAA", forged(GOOD), "x"):
        answer = acme.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {other}"})
        assert answer.status_code == 401
