"""What a relying party refuses: T-JWTALG, T-AUD, T-CANON, and results that say more than they may."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.errors import Malformed, Rejected
from attest.result import ear
from attest.result.ear.spelling import NAMES, SPELLINGS
from kbs.token import Tokens
from tests.ear.conftest import AUDIENCE, FOR_NOBODY, ISSUER, NONCE, P256, P384, TERMS, ResultOf, rejected
from tests.policy.conftest import GPU, NOW, SNP, policy_of, tree

M = SNP["measurement"]
CLEAN = policy_of(f'{{snp: {{measurement: {{is: "{M}", covers: image}}}}}}')
PUBLIC = P256.public.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HEADER = {"alg": "ES256", "typ": "eat+jwt", "kid": P256.public.kid}


@pytest.fixture
def token(result_of: ResultOf) -> bytes:
    return ear.issue(result_of(tree(snp=SNP), CLEAN), TERMS, key=P256)


def read(token: bytes | str, **more: Any) -> ear.Attested:
    given: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "at": NOW, **more}
    keys = given.pop("keys", [P256.public])
    return ear.read(token if isinstance(token, bytes) else token.encode(), keys, **given)


def codes(token: bytes | str, **more: Any) -> set[str]:
    with pytest.raises((Malformed, Rejected)) as refused:
        read(token, **more)
    return refused.value.codes


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token: bytes) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def resigned(
    claims: dict[str, Any] | bytes, header: dict[str, Any] | None = None, key: ear.SigningKey = P256
) -> str:
    """A token with any header and any payload under a key of ours."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    head = json.dumps(HEADER if header is None else header).encode()
    message = f"{b64(head)}.{b64(payload)}"
    signature = jwt.get_algorithm_by_name(key.public.algorithm).sign(message.encode(), key.private)
    return f"{message}.{b64(signature)}"


def test_a_result_reads_back(token: bytes) -> None:
    attested = read(token, nonce=NONCE)
    assert (attested.status, attested.simulated, attested.issuer) == ("affirming", False, ISSUER)
    assert attested.audience == AUDIENCE
    assert (attested.issued, attested.expires) == (NOW, NOW + timedelta(minutes=5))
    assert attested.parts["cpu0"].policies == (f"t@{CLEAN.digest}",)
    assert attested.parts["cpu0"].evidence_digest
    assert len(attested.token_id) == 16
    assert attested.key is None


@pytest.mark.parametrize("spelling", NAMES)
@pytest.mark.parametrize("key", [P256, P384])
def test_every_spelling_reads_back(result_of: ResultOf, spelling: Any, key: ear.SigningKey) -> None:
    terms = TERMS if SPELLINGS[spelling].audience else FOR_NOBODY
    result = result_of(tree(snp=SNP, gpu=[GPU]), key={"kty": "EC", "x": "AA"})
    token = ear.issue(result, terms, key=key, spelling=spelling)
    attested = read(token, audience=terms.audience, spelling=spelling, keys=[key.public], nonce=NONCE)
    assert attested.status == result.status
    assert attested.key == {"kty": "EC", "x": "AA"}
    assert {name: part.vector for name, part in attested.parts.items()} == {
        name: part.vector for name, part in result.parts.items()
    }


def test_a_refusal_is_read_as_one(evidence_of: Callable[..., Any]) -> None:
    result = ear.of_rejected(rejected(), evidence_of(tree(snp=SNP)), at=NOW, simulated=False)
    attested = read(ear.issue(result, TERMS, key=P256))
    assert attested.status == "contraindicated"
    assert attested.parts["cpu0"].policies == ()


def test_an_attested_cannot_be_made_by_hand_or_changed(token: bytes) -> None:
    with pytest.raises(TypeError):
        ear.Attested(object(), status="affirming")
    with pytest.raises(AttributeError):
        read(token).status = "contraindicated"


def test_no_issuer_is_who_verifies_here(result_of: ResultOf) -> None:
    """Else a token would pass the default rule that demands our own verification."""
    token = ear.issue(result_of(tree(snp=SNP), CLEAN), ear.Terms("self", AUDIENCE, NONCE), key=P256)
    with pytest.raises(ValueError, match="self"):
        read(token, issuer="self")


# -- T-JWTALG ---------------------------------------------------------------------------------------


def test_t_jwtalg_no_signature_is_none(token: bytes) -> None:
    claims = claims_of(token)
    head, payload = (b64(json.dumps(part).encode()) for part in ({**HEADER, "alg": "none"}, claims))
    assert codes(f"{head}.{payload}.") == {"ear.algorithm"}
    head, payload, _ = token.decode().split(".")
    assert codes(f"{head}.{payload}.") == {"ear.signature"}


def test_t_jwtalg_the_public_key_is_no_secret(token: bytes) -> None:
    import hashlib
    import hmac

    head = b64(json.dumps({**HEADER, "alg": "HS256"}).encode())
    message = f"{head}.{token.split(b'.')[1].decode()}"
    for secret in (PUBLIC, PUBLIC.strip(), P256.public.thumbprint):
        mac = hmac.new(secret, message.encode(), hashlib.sha256).digest()
        assert codes(f"{message}.{b64(mac)}") == {"ear.algorithm"}


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "ES384", "ES512", "RS256", "es256", "", None, 7]
)
def test_t_jwtalg_the_algorithm_is_the_key_s(token: bytes, algorithm: Any) -> None:
    assert codes(resigned(claims_of(token), {**HEADER, "alg": algorithm})) == {"ear.algorithm"}


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"], "exp": 1},
        {"jku": "https://attacker.example/keys"},
        {"x5u": "https://attacker.example/cert"},
        {"jwk": P384.public.jwk()},
        {"x5c": ["AA=="]},
        {"b64": False},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
)
def test_t_jwtalg_a_header_brings_nothing_of_its_own(token: bytes, more: dict[str, Any]) -> None:
    assert codes(resigned(claims_of(token), {**HEADER, **more})) == {"ear.header"}


def test_t_jwtalg_a_key_in_the_header_is_not_used(token: bytes) -> None:
    theirs = ear.SigningKey(ec.generate_private_key(ec.SECP256R1()))
    header = {**HEADER, "kid": theirs.public.kid}
    assert codes(resigned(claims_of(token), header, theirs)) == {"ear.key"}
    assert codes(resigned(claims_of(token), {**header, "jwk": theirs.public.jwk()}, theirs)) == {"ear.header"}
    assert codes(resigned(claims_of(token), HEADER, theirs)) == {"ear.signature"}


@pytest.mark.parametrize("kid", [None, "", 7, "other", ["a"]])
def test_a_key_is_found_by_its_name_alone(token: bytes, kid: Any) -> None:
    assert codes(resigned(claims_of(token), {**HEADER, "kid": kid})) == {"ear.key"}


def test_keys_may_overlap(token: bytes) -> None:
    assert read(token, keys=[P384.public, P256.public]).status == "affirming"
    assert codes(token, keys=[P384.public]) == {"ear.key"}
    with pytest.raises(ValueError):
        read(token, keys=[])


@pytest.mark.parametrize("curve", [ec.SECP521R1(), ec.SECP256K1()])
def test_other_curves_are_no_keys_of_results(curve: ec.EllipticCurve) -> None:
    with pytest.raises(ValueError):
        ear.SigningKey(ec.generate_private_key(curve))


# -- T-AUD ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "attestation+jwt", "EAT+JWT", "", None, 7])
def test_t_aud_a_token_of_another_type(token: bytes, typ: Any) -> None:
    assert codes(resigned(claims_of(token), {**HEADER, "typ": typ})) == {"ear.type"}


def test_t_aud_a_broker_s_token_under_the_same_key_is_no_result() -> None:
    start = int(NOW.timestamp())
    issued = Tokens(lambda _: [P256.private]).issue({"iat": start, "exp": start + 300})
    for spelling in NAMES:
        assert codes(issued, spelling=spelling) == {"ear.type"}


def test_t_aud_a_result_is_no_token_of_a_broker(token: bytes) -> None:
    from kbs.token import InvalidToken

    with pytest.raises(InvalidToken):
        Tokens(lambda _: [P256.private]).read(token.decode(), NOW)


@pytest.mark.parametrize("audience", ["https://other.example", None, "", AUDIENCE + "/"])
def test_t_aud_a_result_for_somebody_else(token: bytes, audience: str | None) -> None:
    assert codes(token, audience=audience) == {"ear.audience"}


@pytest.mark.parametrize("aud", [[AUDIENCE], [AUDIENCE, "x"], {}, 7, None])
def test_t_aud_the_audience_is_one_text(token: bytes, aud: Any) -> None:
    assert codes(resigned({**claims_of(token), "aud": aud})) == {"ear.audience"}


def test_t_aud_a_result_for_nobody_is_not_for_me(result_of: ResultOf) -> None:
    plain = ear.issue(result_of(tree(snp=SNP), CLEAN), FOR_NOBODY, key=P256)
    assert codes(plain) == {"ear.audience"}
    assert read(plain, audience=None).audience is None


def test_t_aud_a_result_of_another_verifier(token: bytes) -> None:
    assert codes(token, issuer="https://other.example") == {"ear.issuer"}
    claims = claims_of(token)
    del claims["iss"]
    assert codes(resigned(claims)) == {"ear.issuer"}


def test_every_problem_is_told(token: bytes) -> None:
    found = codes(token, issuer="x", audience="y", nonce=bytes(32), at=NOW + timedelta(hours=1))
    assert found == {"ear.issuer", "ear.audience", "ear.nonce", "ear.expired"}


@pytest.mark.parametrize("other", ["veraison", "trustee"])
def test_a_spelling_is_not_taken_for_another(result_of: ResultOf, token: bytes, other: Any) -> None:
    assert codes(token, spelling=other) == {"ear.type"}
    assert codes(resigned({**claims_of(token), "eat_profile": SPELLINGS[other].profile})) == {"ear.profile"}
    plain = ear.issue(result_of(tree(snp=SNP), CLEAN), FOR_NOBODY, key=P256, spelling=other)
    swapped = {"veraison": "trustee", "trustee": "veraison"}[other]
    assert codes(plain, spelling=swapped, audience=None) == {"ear.profile"}


# -- its time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (-61, "ear.not-yet-valid"),
        (-60, None),
        (0, None),
        (299, None),
        (300, "ear.expired"),
        (900, "ear.expired"),
    ],
)
def test_a_result_counts_in_its_time(token: bytes, seconds: int, code: str | None) -> None:
    at = NOW + timedelta(seconds=seconds)
    if code is None:
        read(token, at=at)
    else:
        assert codes(token, at=at) == {code}


@pytest.mark.parametrize(
    ("seconds", "good"), [(600, True), (601, False), (86400, False), (0, False), (-5, False)]
)
def test_ten_minutes_are_the_longest_life(token: bytes, seconds: int, good: bool) -> None:
    claims = claims_of(token)
    claims["exp"] = claims["iat"] + seconds
    if good:
        read(resigned(claims))
    else:
        assert "ear.lifetime" in codes(resigned(claims))


def test_a_result_issued_in_the_future_does_not_count(token: bytes) -> None:
    claims = claims_of(token)
    for name in ("iat", "nbf"):
        assert codes(resigned({**claims, name: claims[name] + 120})) == {"ear.not-yet-valid"}


@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
@pytest.mark.parametrize("value", [None, "1795435200", True, -1, 1 << 40, 1795435200.0, 1795435200.5])
def test_times_are_whole_seconds(token: bytes, name: str, value: Any) -> None:
    claims = claims_of(token)
    claims[name] = value
    assert codes(resigned(claims)) == {"ear.malformed"}
    del claims[name]
    assert codes(resigned(claims)) == {"ear.malformed"}


def test_the_reader_s_time_has_a_zone(token: bytes) -> None:
    with pytest.raises(ValueError):
        read(token, at=NOW.replace(tzinfo=None))


# -- its challenge ----------------------------------------------------------------------------------


def test_the_challenge_is_the_one_that_was_given(result_of: ResultOf, token: bytes) -> None:
    assert codes(token, nonce=bytes(32)) == {"ear.nonce"}
    assert codes(token, nonce=NONCE[:-1]) == {"ear.nonce"}
    without = ear.issue(result_of(tree(snp=SNP), CLEAN), ear.Terms(ISSUER, AUDIENCE), key=P256)
    assert codes(without, nonce=NONCE) == {"ear.nonce"}
    assert read(without).nonce is None


@pytest.mark.parametrize("nonce", [7, None, "AA", "A" * 100, b64(NONCE) + "=", "!" * 20, [b64(NONCE)]])
def test_a_challenge_of_another_build(token: bytes, nonce: Any) -> None:
    assert codes(resigned({**claims_of(token), "eat_nonce": nonce})) == {"ear.malformed"}


def test_t_sample_a_simulated_machine_is_refused_unless_wanted(result_of: ResultOf) -> None:
    claims = {**tree(snp=SNP), "evidence": {"verified-by": "self", "simulated": "true"}}
    simulated = ear.issue(result_of(claims, simulated=True), TERMS, key=P256)
    assert codes(simulated) == {"ear.simulated"}
    assert read(simulated, simulated=True).simulated


def test_t_sample_one_simulated_part_is_enough(result_of: ResultOf) -> None:
    real = ear.issue(result_of(tree(snp=SNP, gpu=[GPU])), TERMS, key=P256)
    path = "submods/gpu0/ear_veraison_annotated_evidence/simulated"
    assert codes(changed(real, path, True)) == {"ear.simulated"}


# -- T-CANON ----------------------------------------------------------------------------------------


def test_t_canon_a_claim_given_twice_is_refused(token: bytes) -> None:
    plain = json.dumps(claims_of(token)).encode()
    for name, value in (("ear_status", '"affirming"'), ("iss", '"x"'), ("exp", "9999999999")):
        doubled = plain[:-1] + f', "{name}": {value}}}'.encode()
        assert codes(resigned(doubled)) == {"ear.malformed"}
    inside = plain.replace(b'"hardware": 2', b'"hardware": 96, "hardware": 2', 1)
    assert inside != plain
    assert codes(resigned(inside)) == {"ear.malformed"}


def test_t_canon_a_header_member_given_twice_is_refused(token: bytes) -> None:
    header = json.dumps(HEADER)[:-1] + ', "alg": "ES256"}'
    message = f"{b64(header.encode())}.{token.split(b'.')[1].decode()}"
    signature = jwt.get_algorithm_by_name("ES256").sign(message.encode(), P256.private)
    assert codes(f"{message}.{b64(signature)}") == {"ear.malformed"}


@pytest.mark.parametrize("text", [b'{"a": NaN}', b'{"a": 1.0}', b'{"a": 1e2}', b"[]", b"null", b'"x"', b"\xff", b"{",
                                  b"[" * 40 + b"]" * 40])  # fmt: skip
def test_t_canon_what_two_parsers_would_read_differently(text: bytes) -> None:
    assert codes(resigned(text)) == {"ear.malformed"}


def test_t_canon_a_segment_has_one_spelling(token: bytes) -> None:
    head, payload, signature = token.decode().split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(signature + "==")
    for changed in (
        f"{head}.{payload}.{other}",
        f"{head}.{payload}.{signature}==",
        f"{head}.{payload}.{signature}\n",
        f" {head}.{payload}.{signature}",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature}.",
        "",
        "..",
        "a" * 70_000,
        f"{head}.{payload}.{signature[:-2]}é",
    ):
        assert codes(changed) == {"ear.malformed"}, changed[-20:]


@pytest.mark.parametrize("position", range(40))
def test_a_changed_signature_does_not_hold(token: bytes, position: int) -> None:
    head, payload, signature = token.decode().split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[position] ^= 1
    assert codes(f"{head}.{payload}.{b64(bytes(raw))}") == {"ear.signature"}


# -- what it says -----------------------------------------------------------------------------------


def changed(token: bytes, path: str, value: Any) -> str:
    claims = claims_of(token)
    at: Any = claims
    *way, last = path.split("/")
    for step in way:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return resigned(claims)


VECTOR = "submods/cpu0/ear_trustworthiness_vector"
EVIDENCE = "submods/cpu0/ear_veraison_annotated_evidence"
POLICIES = "submods/cpu0/ear_appraisal_policy_ids"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("submods", {}),
        ("submods", []),
        ("submods", ...),
        ("submods/cpu0", []),
        ("submods/other", {}),
        ("submods/gpu01", {}),
        ("submods/cpu0/ear_status", "good"),
        ("submods/cpu0/ear_status", 2),
        ("submods/cpu0/ear_status", ...),
        ("ear_status", ...),
        ("ear_status", "fine"),
        (f"{VECTOR}/hardware", 96),
        (f"{VECTOR}/hardware", 33),
        (f"{VECTOR}/hardware", 128),
        (f"{VECTOR}/hardware", True),
        (f"{VECTOR}/hardware", "2"),
        (f"{VECTOR}/colour", 2),
        (VECTOR, ...),
        (VECTOR, []),
        (EVIDENCE, ...),
        (f"{EVIDENCE}/simulated", ...),
        (f"{EVIDENCE}/simulated", "false"),
        (f"{EVIDENCE}/evidence-digest", "sha256:00"),
        (POLICIES, []),
        (POLICIES, "t"),
        (POLICIES, ["t"]),
        (POLICIES, [7]),
        ("jti", ...),
        ("jti", "AA"),
        ("jti", 7),
    ],
)
def test_claims_that_none_of_ours_has(token: bytes, path: str, value: Any) -> None:
    assert codes(changed(token, path, value)) == {"ear.malformed"}


def test_the_machine_is_no_better_than_its_worst_part(token: bytes) -> None:
    assert read(changed(token, "submods/cpu0/ear_status", "contraindicated")).status == "contraindicated"
    assert read(changed(token, "ear_status", "contraindicated")).status == "contraindicated"
    assert read(changed(token, "submods/cpu0/ear_status", "warning")).status == "warning"


def test_claims_nobody_knows_are_ignored(token: bytes) -> None:
    assert read(changed(token, "something", 7)).status == "affirming"


def test_a_token_is_bounded(token: bytes) -> None:
    assert codes(resigned({**claims_of(token), "more": "a" * 50_000})) == {"ear.malformed"}
    assert read(resigned({**claims_of(token), "more": "a" * 40_000})).status == "affirming"
