"""T-JWTALG: nothing that a token brings along chooses how it is checked."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attest import Malformed
from attest.result.passport import claimed_issuer, read, read_jwks
from tests.passport.conftest import KEY, OTHER, TRUSTEE, b64, jwk, key_set, payload, signed
from tests.passport.test_trustee import codes
from tests.policy.conftest import NOW

NAMED = key_set(jwk(kid="one"), jwk(OTHER, kid="two"))
GOOD = {"typ": "JWT", "alg": "ES256"}


def test_a_key_is_named_by_its_value_by_kid_or_by_both() -> None:
    for header in ({"jwk": jwk()}, {"kid": "one"}, {"kid": "one", "jwk": jwk()}):
        read(signed(payload(), GOOD | header), TRUSTEE, NAMED, at=NOW)
    # Trustee adds members of its own, and a chain that says whose the key is: the issuer's copy counts.
    more = jwk(x5c=["AAAA"], x5u="https://evil.example/x.pem")
    read(signed(payload(), GOOD | {"jwk": more}), TRUSTEE, NAMED, at=NOW)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({}, id="names no key"),
        pytest.param({"kid": "three"}, id="unknown kid"),
        pytest.param({"kid": 1}, id="kid of another type"),
        pytest.param({"jwk": jwk(ec.generate_private_key(ec.SECP256R1()))}, id="own key"),
        pytest.param({"kid": "two", "jwk": jwk()}, id="two names for two keys"),
    ],
)
def test_t_jwtalg_a_key_that_is_not_the_issuers_is_refused(header: dict[str, Any]) -> None:
    assert codes(signed(payload(), GOOD | header), keys=NAMED) == {"ear.key"}


def test_t_jwtalg_a_token_under_a_key_of_its_own_is_refused() -> None:
    mine = ec.generate_private_key(ec.SECP256R1())
    assert codes(signed(payload(), GOOD | {"jwk": jwk(mine)}, mine)) == {"ear.key"}
    assert codes(signed(payload(), GOOD | {"jwk": jwk()}, mine)) == {"ear.signature"}


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "ES384", "es256", "", None, 1])
def test_t_jwtalg_the_algorithm_is_the_keys(algorithm: Any) -> None:
    assert codes(signed(payload(), {"typ": "JWT", "alg": algorithm, "jwk": jwk()})) == {"ear.algorithm"}


def test_t_jwtalg_the_public_key_is_no_secret() -> None:
    pem = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = b64(json.dumps({"typ": "JWT", "alg": "HS256", "jwk": jwk()}).encode())
    body = b64(json.dumps(payload()).encode())
    mac = b64(hmac.digest(pem, f"{head}.{body}".encode(), hashlib.sha256))
    assert codes(f"{head}.{body}.{mac}".encode()) == {"ear.algorithm"}


@pytest.mark.parametrize(
    "members",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/x.pem"},
        {"x5c": ["AAAA"]},
        {"x5t": "AAAA"},
        {"crit": ["exp"]},
        {"b64": False},
        {"zip": "DEF"},
        {"more": 1},
    ],
)
def test_t_jwtalg_no_other_member_stands_in_a_header(members: dict[str, Any]) -> None:
    assert codes(signed(payload(), GOOD | {"jwk": jwk()} | members)) == {"ear.header"}


@pytest.mark.parametrize(
    "brought", ["x", [], {}, {"kty": "RSA"}, jwk(d="AA"), jwk() | {"x": "AA"}, jwk() | {"y": jwk()["x"]}]
)
def test_a_header_key_that_is_none_is_refused(brought: Any) -> None:
    assert codes(signed(payload(), GOOD | {"jwk": brought})) == {"ear.header"}


@pytest.mark.parametrize("typ", ["attestation+jwt", "eat+jwt", "jwt", None, 1])
def test_t_aud_a_token_of_another_type_is_refused(typ: Any) -> None:
    assert codes(signed(payload(), {"typ": typ, "alg": "ES256", "jwk": jwk()})) == {"ear.type"}


@pytest.mark.parametrize("token", [b"", b"a.b", b"a.b.c.d", b"\xff", b"e30.e30.", b"." * 3, b"a" * 70_000])
def test_what_is_no_jws_is_malformed(token: bytes) -> None:
    assert codes(token) <= {"ear.malformed", "ear.key"}


def test_every_changed_bit_of_signature_and_payload_is_refused() -> None:
    token = signed(payload())
    head, body, signature = token.split(b".")
    for index in range(0, len(signature), 7):
        changed = bytearray(signature)
        changed[index] = ord("A") if changed[index] != ord("A") else ord("B")
        assert codes(b".".join((head, body, bytes(changed)))) <= {"ear.signature", "ear.malformed"}
    assert codes(signed(payload(iss="x")).rsplit(b".", 1)[0] + b"." + signature) == {"ear.signature"}


def test_t_canon_a_claim_given_twice_is_refused() -> None:
    text = json.dumps(payload()).replace('"iss":', '"iss": "x", "iss":')
    assert codes(signed(text.encode())) == {"ear.malformed"}
    assert codes(signed(json.dumps(payload()).replace(": 219", ": 219.0").encode())) == {"ear.malformed"}


def test_whose_a_token_says_it_is_only_picks_the_issuer() -> None:
    assert claimed_issuer(signed(payload())) == "CoCo-Attestation-Service"
    assert claimed_issuer(signed(payload(iss=None))) is None
    assert claimed_issuer(b"x") is None


# -- key sets -------------------------------------------------------------------------------------------------


def test_keys_for_other_uses_and_of_other_types_are_passed_over() -> None:
    rsa = {"kty": "RSA", "n": "AA", "e": "AQAB", "kid": "r"}
    p384 = ec.generate_private_key(ec.SECP384R1())
    keys = key_set(rsa, jwk(OTHER, use="enc"), jwk(use="sig", kid="a"), jwk(p384, kid="b"))
    assert [(one.kid, one.key.algorithm) for one in keys] == [("a", "ES256"), ("b", "ES384")]


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([], id="none"),
        pytest.param([{"kty": "RSA", "n": "AA", "e": "AQAB"}], id="none that is read"),
        pytest.param([jwk(), jwk()], id="twice"),
        pytest.param([jwk(kid="a"), jwk(OTHER, kid="a")], id="one name for two"),
        pytest.param([jwk(d="AA")], id="private"),
        pytest.param([{"kty": "oct", "k": "AA"}, jwk()], id="a secret"),
        pytest.param([jwk() | {"alg": "ES384"}], id="algorithm of another curve"),
        pytest.param([jwk() | {"alg": "HS256"}], id="HS256"),
        pytest.param([jwk() | {"y": jwk()["x"]}], id="not on the curve"),
        pytest.param([jwk() | {"x": jwk()["x"] + "="}], id="padding"),
        pytest.param([jwk(kid=1)], id="kid of another type"),
        pytest.param(["x"], id="no object"),
        pytest.param([jwk()] * 65, id="too many"),
    ],
)
def test_a_key_set_that_is_none_is_malformed(keys: list[Any]) -> None:
    with pytest.raises(Malformed):
        read_jwks(json.dumps({"keys": keys}).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"keys":{}}', b"\xff", b'{"keys":[],"keys":[]}', b" " * 300_000]
)
def test_bytes_that_are_no_key_set_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_jwks(data)


def test_pyjwt_reads_the_same_token() -> None:
    """The token of these tests is one that another library accepts: they do not test a form of their own."""
    key = jwt.PyJWK.from_dict(jwk()).key
    claims = jwt.decode(
        signed(payload()), key, algorithms=["ES256"], options={"verify_exp": False, "verify_iat": False}
    )
    assert claims == payload()
