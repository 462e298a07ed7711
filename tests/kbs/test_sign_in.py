"""People by an identity provider's tokens: who counts, and every way in which a token does not."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from structlog.testing import capture_logs

from kbs.access import Subject
from kbs.administration import Administration
from kbs.clock import Clock
from kbs.http.app import create_app
from kbs.passport.keys import KeysUnavailable
from kbs.sign_in import SignIn
from kbs.sign_in.keys import read_keys
from kbs.sign_in.provider import ALGORITHMS, Algorithm, Keys, Provider
from kbs.sign_in.token import SKEW
from tests.kbs.conftest import ADMINISTRATOR, NOON, PATH, Bench
from tests.kbs.test_access import ask
from tests.kbs.twin import TwinRefused, refusal_of

ISS = "https://id.example"
CORP = Provider("corp", ISS, "kbs.example")
ES256, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE: dict[Algorithm, Any] = {
    "ES256": ES256,
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "RS256": RSA,
    "PS256": RSA,
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
NOW = int(NOON.timestamp())
CLAIMS: dict[str, Any] = {"iss": ISS, "aud": "kbs.example", "sub": "ann", "iat": NOW, "exp": NOW + 600}


def jwk_of(algorithm: Algorithm, key: Any = None, **more: Any) -> dict[str, Any]:
    made = jwt.algorithms.get_default_algorithms()[algorithm].to_jwk((key or PRIVATE[algorithm]).public_key())
    return {**json.loads(made), "kid": algorithm, **more}


def jwks(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(
    claims: Mapping[str, Any] | bytes = CLAIMS, key: Any = ES256, algorithm: str = "ES256", **header: Any
) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    head = {"typ": "at+jwt", "kid": algorithm, **header}
    return jwt.PyJWS().encode(payload, key, algorithm=algorithm, headers=head)


def by_public_key() -> str:
    """What T-JWTALG is named for; libraries refuse to write it."""
    public = ES256.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "ES256"}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, CLAIMS))
    return f"{signed}.{encoded(hmac.digest(public, signed.encode(), 'sha256'))}"


class Had:
    """Keys that a test can change. None: they cannot be had."""

    def __init__(self, keys: Keys | None) -> None:
        self.keys = keys
        self.newer: Keys | None = None

    def current(self, now: Any) -> Keys:
        if self.keys is None:
            raise KeysUnavailable
        return self.keys

    def renewed(self, now: Any) -> Keys | None:
        return self.newer


ONE = read_keys(jwks(jwk_of("ES256")), frozenset({"ES256"}))


def said(text: str, provider: Provider = CORP, keys: Keys = ONE) -> tuple[Subject | None, str]:
    """Who it is, and what the log says."""
    with capture_logs() as logs:
        found = SignIn([(provider, Had(keys))]).subject(text, NOON)
    return found, " ".join(str(one.get("cause")) for one in logs)


def test_a_token_says_who_somebody_is() -> None:
    assert said(token()) == (Subject("corp", "ann"), "")
    assert said(token({**CLAIMS, "aud": ["another", "kbs.example"]}))[0] == Subject("corp", "ann")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_counts_where_it_is_configured(algorithm: Algorithm) -> None:
    provider = Provider("corp", ISS, "kbs.example", frozenset({algorithm}))
    keys = read_keys(jwks(jwk_of(algorithm)), provider.algorithms)
    assert said(token(key=PRIVATE[algorithm], algorithm=algorithm), provider, keys)[0] == Subject(
        "corp", "ann"
    )


CHANGED: dict[str, tuple[str, str]] = {
    "signed by another key": (token(key=OTHER), "signature"),
    "a key of another name": (token(kid="other"), "key"),
    "no name of a key": (token(kid=""), "key"),
    "another algorithm of the key's kind": (
        token(key=PRIVATE["ES384"], algorithm="ES384", kid="ES256"),
        "algorithm",
    ),
    "RS256 under the name": (token(key=RSA, algorithm="RS256", kid="ES256"), "algorithm"),
    "none": (token(key=None, algorithm="none", kid="ES256"), "algorithm"),
    "HS256 by the public key": (by_public_key(), "algorithm"),
    "an ID token where access tokens count": (token(typ="JWT"), "type"),
    "a token of ours": (token(typ="eat+jwt"), "type"),
    "its own key": (token(jwk=jwk_of("ES256", OTHER)), "header"),
    "an address of keys": (token(jku="https://evil.example/jwks"), "header"),
    "a chain": (token(x5c=["AAAA"]), "header"),
    "an address of a chain": (token(x5u="https://evil.example/x"), "header"),
    "critical": (token(crit=["exp"]), "header"),
    "detached": (token(b64=False, crit=["b64"]), "Not JSON"),
    "for another": (token({**CLAIMS, "aud": "other.example"}), "audience"),
    "for others": (token({**CLAIMS, "aud": ["other.example"]}), "audience"),
    "for nobody": (token({key: CLAIMS[key] for key in CLAIMS if key != "aud"}), "audience"),
    "without an end": (token({key: CLAIMS[key] for key in CLAIMS if key != "exp"}), "time"),
    "without a beginning": (token({key: CLAIMS[key] for key in CLAIMS if key != "iat"}), "time"),
    "nobody": (token({key: CLAIMS[key] for key in CLAIMS if key != "sub"}), "subject"),
    "a number": (token({**CLAIMS, "sub": 7}), "subject"),
    "control characters": (token({**CLAIMS, "sub": "ann\nbob"}), "subject"),
    "an empty name": (token({**CLAIMS, "sub": ""}), "subject"),
    "a long name": (token({**CLAIMS, "sub": "a" * 256}), "subject"),
    "ended": (token({**CLAIMS, "iat": NOW - 900, "exp": NOW - 61}), "time"),
    "not yet issued": (token({**CLAIMS, "iat": NOW + 61, "exp": NOW + 600}), "time"),
    "not yet": (token({**CLAIMS, "nbf": NOW + 61}), "time"),
    "too long": (token({**CLAIMS, "exp": NOW + 3601}), "time"),
    "ends before it began": (token({**CLAIMS, "iat": NOW + 30, "exp": NOW + 20}), "time"),
    "an end that is text": (token({**CLAIMS, "exp": str(NOW + 600)}), "time"),
    "an end that is no whole number": (token({**CLAIMS, "exp": NOW + 600.5}), "time"),
    "an end that is true": (token({**CLAIMS, "exp": True}), "time"),
    "an end that no clock reaches": (token({**CLAIMS, "exp": 1 << 70}), "time"),
    "a claim twice": (token(json.dumps(CLAIMS).encode()[:-1] + b',"sub":"bob"}'), "repeats a key"),
    "encrypted": (token() + ".e.f", "three segments"),
    "padded": (token().replace(".", "=.", 1), "base64url"),
    "long": (token({**CLAIMS, "more": "x" * (20 << 10)}), ""),
}


@pytest.mark.parametrize("how", CHANGED)
def test_t_jwtalg_t_aud_a_token_that_is_otherwise_is_nobodys(how: str) -> None:
    """The log names the check; the key, the algorithm and the times are never the token's to choose."""
    text, check = CHANGED[how]
    found, cause = said(text)
    assert found is None
    assert check in cause


def test_t_aud_another_issuers_token_is_not_looked_at() -> None:
    assert said(token({**CLAIMS, "iss": "https://evil.example"})) == (None, "")
    # Two providers with one key: what one signs is nothing at the other.
    other = Provider("other", "https://other.example", "kbs.example")
    signs = SignIn([(CORP, Had(ONE)), (other, Had(ONE))])
    assert signs.subject(token({**CLAIMS, "iss": "https://other.example"}), NOON) == Subject("other", "ann")


@pytest.mark.parametrize("seconds", [-60, 0, 659])
def test_t_clock_clocks_may_differ_by_a_minute(seconds: int) -> None:
    at = NOON + timedelta(seconds=seconds)
    assert SignIn([(CORP, Had(ONE))]).subject(token(), at) is not None
    assert SignIn([(CORP, Had(ONE))]).subject(token(), NOON + timedelta(seconds=600) + SKEW) is None


def test_an_id_token_counts_where_that_is_configured() -> None:
    provider = Provider("corp", ISS, "kbs.example", typ="JWT")
    assert said(token(typ="JWT"), provider)[0] == Subject("corp", "ann")
    assert said(token(), provider)[0] is None


def test_a_token_that_names_no_key_is_of_the_only_one_there_is() -> None:
    head = {"typ": "at+jwt"}
    text = jwt.PyJWS().encode(json.dumps(CLAIMS).encode(), ES256, algorithm="ES256", headers=head)
    assert said(text)[0] == Subject("corp", "ann")
    two = read_keys(jwks(jwk_of("ES256"), jwk_of("ES256", OTHER, kid="other")), frozenset({"ES256"}))
    found, cause = said(text, keys=two)
    assert found is None
    assert cause.startswith("key")


def test_a_new_key_is_asked_for_once() -> None:
    held = Had(read_keys(jwks(jwk_of("ES256", OTHER, kid="old")), frozenset({"ES256"})))
    assert SignIn([(CORP, held)]).subject(token(), NOON) is None
    held.newer = ONE
    assert SignIn([(CORP, held)]).subject(token(), NOON) == Subject("corp", "ann")


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[]",
        b'{"keys": {}}',
        jwks(),
        jwks(jwk_of("RS256")),
        jwks(jwk_of("ES256", use="enc")),
        jwks(jwk_of("ES256"), jwk_of("ES256", OTHER)),
        jwks({**jwk_of("ES256"), "d": "AA"}),
        jwks({**jwk_of("ES256"), "x": "AA"}),
        jwks({**jwk_of("ES256"), "alg": "RS256"}),
        jwks({"kty": "oct", "k": "AAAA", "kid": "a", "alg": "HS256"}),
        jwks({key: value for key, value in jwk_of("ES256").items() if key != "kid"}),
        b'{"keys": [], "keys": []}',
    ],
)
def test_keys_that_are_none(document: bytes) -> None:
    from attest.errors import Malformed

    with pytest.raises(Malformed):
        read_keys(document, frozenset({"ES256"}))


def test_a_short_rsa_key_and_one_that_could_be_for_two_algorithms_are_none() -> None:
    from attest.errors import Malformed

    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for document, allowed in (
        (jwks(jwk_of("RS256", short, alg="RS256")), frozenset[Algorithm]({"RS256"})),
        (jwks(jwk_of("RS256")), frozenset[Algorithm]({"RS256", "PS256"})),
    ):
        with pytest.raises(Malformed):
            read_keys(document, allowed)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": "A"},
        {"iss": ""},
        {"audience": ""},
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"HS256"})},
        {"longest": timedelta(days=2)},
        {"longest": timedelta()},
    ],
)
def test_providers_that_are_none(changed: Any) -> None:
    with pytest.raises(ValueError):
        Provider(**{"name": "corp", "iss": ISS, "audience": "a", **changed})


def test_two_providers_differ() -> None:
    for other in (Provider("corp", "https://b", "a"), Provider("b", ISS, "a")):
        with pytest.raises(ValueError, match="two providers"):
            SignIn([(CORP, Had(ONE)), (other, Had(ONE))])


# -- at the door ------------------------------------------------------------------------------------


@pytest.fixture
def door(acme: Bench) -> Bench:
    """A broker that believes `corp`, and knows its `ann` as an auditor."""
    sign_in = SignIn([(CORP, Had(ONE))])
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), sign_in=sign_in)
    acme.app = create_app(acme.broker, acme.administration, acme.store)
    acme.administration.people.add(ADMINISTRATOR, "ann", "auditor", [], None, Subject("corp", "ann"))
    return acme


def test_whoever_is_a_principal_here_signs_in_by_a_token(door: Bench) -> None:
    assert ask(door, token(), "GET", "rules").is_success
    assert refusal_of(ask(door, token(), "POST", "owners", json={"name": "new"})).status == 403
    door.administration.people.add(ADMINISTRATOR, "bob", "administrator", [], None, Subject("corp", "bob"))
    bob = token({**CLAIMS, "sub": "bob"})
    assert ask(door, bob, "POST", "owners", json={"name": "new"}).is_success
    assert door.rows("owner-added")[-1]["by"] == "bob"


def test_t_admin_default_nobody_is_anybody_by_a_token_alone(door: Bench) -> None:
    """Whatever groups and roles a directory gives: a principal is made here, by name."""
    claims = {**CLAIMS, "sub": "eve", "groups": ["administrators"], "role": "administrator", "name": "ann"}
    assert refusal_of(ask(door, token(claims), "GET", "rules")).status == 401
    assert refusal_of(ask(door, token(key=OTHER), "GET", "rules")).status == 401


def test_who_is_removed_or_ended_is_nobody_at_the_next_request(door: Bench) -> None:
    door.administration.people.add(ADMINISTRATOR, "bob", "auditor", [], 1, Subject("corp", "bob"))
    bob = {**CLAIMS, "sub": "bob"}
    assert ask(door, token(bob), "GET", "rules").is_success
    door.clock.pass_seconds(86_400)
    later = int(door.clock.now.timestamp())
    assert (
        refusal_of(ask(door, token({**bob, "iat": later, "exp": later + 60}), "GET", "rules")).status == 401
    )
    ann = token({**CLAIMS, "iat": later, "exp": later + 60})
    assert ask(door, ann, "GET", "rules").is_success
    door.administration.people.remove(ADMINISTRATOR, "ann")
    assert refusal_of(ask(door, ann, "GET", "rules")).status == 401


def test_one_subject_is_one_principal(door: Bench) -> None:
    for body, status in (
        ({"name": "x", "role": "auditor", "provider": "corp", "subject": "ann"}, 409),
        ({"name": "x", "role": "auditor", "provider": "nobody", "subject": "x"}, 400),
        ({"name": "x", "role": "auditor", "provider": "corp"}, 400),
        ({"name": "x", "role": "auditor", "subject": "x"}, 400),
        ({"name": "x", "role": "auditor", "provider": "corp", "subject": "a\nb"}, 422),
    ):
        assert refusal_of(door.admin("POST", "principals", json=body)).status == status
    made = door.admin(
        "POST", "principals", json={"name": "x", "role": "auditor", "provider": "corp", "subject": "x"}
    )
    assert made.json()["key"] is None
    assert door.rows("principal-added")[-1]["signs-in"] == {"provider": "corp", "subject": "x"}


def test_the_last_administrator_with_a_key_stays(door: Bench) -> None:
    """A provider that is gone would leave nobody."""
    door.administration.people.add(ADMINISTRATOR, "bob", "administrator", [], None, Subject("corp", "bob"))
    assert "last administrator with a key" in refusal_of(door.admin("DELETE", "principals/test")).detail


def test_keys_that_cannot_be_had_are_503(door: Bench) -> None:
    door.administration.sign_in = SignIn([(CORP, Had(None))])
    refusal = refusal_of(ask(door, token(), "GET", "rules"))
    assert (refusal.status, "keys of corp" in refusal.detail) == (503, True)


def test_t_aud_tokens_of_one_door_are_nothing_at_the_other(door: Bench) -> None:
    guest = door.guest()
    guest.auth()
    attestation = guest.attest()
    assert refusal_of(ask(door, attestation, "GET", "rules")).status == 401
    for text in (token(), door.admin_key):
        with pytest.raises(TwinRefused) as refused:
            guest.resource(PATH, text)
        assert refused.value.status == 401
