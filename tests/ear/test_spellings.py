"""Each spelling has the members that its consumers read, and other libraries find the signature good."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws

from attest.result import ear
from attest.result.ear.spelling import NAMES, SPELLINGS, Name
from tests.ear.conftest import AUDIENCE, FOR_NOBODY, ISSUER, NONCE, P256, P384, TERMS, ResultOf, rejected
from tests.policy.conftest import GPU, NOW, SNP, SWITCH, policy_of, tree

M = SNP["measurement"]
CLEAN = policy_of(f'{{snp: {{measurement: {{is: "{M}", covers: image}}}}}}')
PLAIN = policy_of(f'{{snp: {{measurement: {{is: "{M}", covers: image}}}}, gpu: {{count: 2}}}}')
FABRIC = [{**GPU, "id": f"{number:02x}" * 20} for number in range(2)]
KEYS = [P256, P384]


def terms_for(spelling: Name) -> ear.Terms:
    return TERMS if SPELLINGS[spelling].audience else FOR_NOBODY


def parts_of(token: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.decode().split(".")
    first, second = (
        json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        for segment in (header, payload)
    )
    return first, second


def issued(result: ear.AttestationResult, spelling: Name, key: ear.SigningKey = P256) -> bytes:
    return ear.issue(result, terms_for(spelling), key=key, spelling=spelling)


REGISTERED = {"iss", "iat", "nbf", "exp", "jti"}


@pytest.mark.parametrize(
    ("spelling", "typ", "members", "of_a_part"),
    [
        (
            "veraison",
            "JWT",
            {"eat_profile", "ear.verifier-id", "submods", "eat_nonce", "aud"},
            {
                "ear.status",
                "ear.trustworthiness-vector",
                "ear.appraisal-policy-id",
                "ear.veraison.annotated-evidence",
            },
        ),
        (
            "trustee",
            "JWT",
            {"eat_profile", "ear.verifier-id", "submods", "eat_nonce"},
            {
                "ear.status",
                "ear.trustworthiness-vector",
                "ear.appraisal-policy-id",
                "ear.veraison.annotated-evidence",
            },
        ),
        (
            "ietf",
            "eat+jwt",
            {"eat_profile", "ear_verifier_id", "ear_status", "submods", "eat_nonce", "aud"},
            {
                "ear_status",
                "ear_trustworthiness_vector",
                "ear_appraisal_policy_ids",
                "ear_veraison_annotated_evidence",
            },
        ),
    ],
)
def test_members_of_a_spelling(
    result_of: ResultOf, spelling: Name, typ: str, members: set[str], of_a_part: set[str]
) -> None:
    header, claims = parts_of(issued(result_of(tree(snp=SNP), CLEAN), spelling))
    assert header == {"alg": "ES256", "typ": typ, "kid": P256.public.kid}
    assert set(claims) == REGISTERED | members
    assert set(claims["submods"]["cpu0"]) == of_a_part


def test_the_draft_s_spelling_in_full(result_of: ResultOf) -> None:
    result = result_of(tree(snp=SNP), CLEAN)
    _, claims = parts_of(ear.issue(result, TERMS, key=P256, token_id=bytes(16)))
    start = int(NOW.timestamp())
    assert claims == {
        "eat_profile": "tag:ietf.org,2026:rats/ear#03",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": start,
        "nbf": start,
        "exp": start + 300,
        "jti": "A" * 22,
        "eat_nonce": base64.urlsafe_b64encode(NONCE).rstrip(b"=").decode(),
        "ear_status": "affirming",
        "ear_verifier_id": {"developer": "attest", "build": claims["ear_verifier_id"]["build"]},
        "submods": {
            "cpu0": {
                "ear_status": "affirming",
                "ear_trustworthiness_vector": {
                    "instance-identity": 0,
                    "configuration": 3,
                    "executables": 3,
                    "file-system": 0,
                    "hardware": 2,
                    "runtime-opaque": 2,
                    "storage-opaque": 0,
                    "sourced-data": 0,
                },
                "ear_appraisal_policy_ids": [f"t@{CLEAN.digest}"],
                "ear_veraison_annotated_evidence": {
                    "simulated": False,
                    "evidence-digest": result.parts["cpu0"].evidence_digest,
                },
            }
        },
    }


@pytest.mark.parametrize("spelling", NAMES)
def test_every_spelling_says_that_evidence_was_simulated(result_of: ResultOf, spelling: Name) -> None:
    claims = {**tree(snp=SNP, gpu=[GPU]), "evidence": {"verified-by": "self", "simulated": "true"}}
    result = result_of(claims, simulated=True)
    _, said = parts_of(issued(result, spelling))
    for part in said["submods"].values():
        assert part[SPELLINGS[spelling].annotated]["simulated"] is True
    public = [P256.public]
    attested = ear.read(
        issued(result, spelling),
        public,
        issuer=ISSUER,
        audience=terms_for(spelling).audience,
        at=NOW,
        spelling=spelling,
        simulated=True,
    )
    assert attested.simulated


@pytest.mark.parametrize("spelling", NAMES)
def test_a_token_names_every_part_and_fits_into_a_header(result_of: ResultOf, spelling: Name) -> None:
    gpus = [{**GPU, "id": f"{number:02x}" * 20} for number in range(8)]
    switches = [{**SWITCH, "id": f"{number:02x}" * 20} for number in range(4)]
    token = issued(result_of(tree(snp=SNP, gpu=gpus, switch=switches)), spelling)
    assert set(parts_of(token)[1]["submods"]) == {
        "cpu0",
        *(f"gpu{index}" for index in range(8)),
        *(f"switch{index}" for index in range(4)),
    }
    assert len(token) < 16 << 10


def test_no_policy_is_named_where_none_was_run(evidence_of: Any) -> None:
    result = ear.of_rejected(rejected(), evidence_of(tree(snp=SNP)), at=NOW, simulated=False)
    for spelling in NAMES:
        part = parts_of(issued(result, spelling))[1]["submods"]["cpu0"]
        assert SPELLINGS[spelling].policies not in part
        assert part[SPELLINGS[spelling].status] == "contraindicated"


def test_trustee_s_broker_refuses_an_audience_so_none_is_written(result_of: ResultOf) -> None:
    with pytest.raises(ValueError, match="audience"):
        ear.issue(result_of(tree(snp=SNP)), TERMS, key=P256, spelling="trustee")


def test_trustee_s_broker_reads_no_cwt(result_of: ResultOf) -> None:
    with pytest.raises(ValueError, match="not cwt"):
        ear.issue(result_of(tree(snp=SNP)), FOR_NOBODY, key=P256, spelling="trustee", form="cwt")


# -- a consumer of Trustee's shape ------------------------------------------------------------------


class TrusteeBroker:
    """How Trustee's broker takes a token, and what its sample policy asks of it: a key found by `kid` in a
    JWK set whose entry says the algorithm, no audience expected, and every part affirming."""

    def __init__(self, jwks: dict[str, Any]) -> None:
        self.jwks = jwks

    def claims(self, token: bytes) -> dict[str, Any]:
        header, claims = parts_of(token)
        assert "jwk" not in header
        entry = next(key for key in self.jwks["keys"] if key["kid"] == header["kid"])
        joserfc_jws.deserialize_compact(token, ECKey.import_key(entry), algorithms=[entry["alg"]])
        assert "aud" not in claims
        assert claims["exp"] > int(NOW.timestamp())
        return claims

    def allows(self, token: bytes) -> bool:
        submods = self.claims(token)["submods"]
        return bool(submods) and all(part["ear.status"] == "affirming" for part in submods.values())

    def tee_key(self, token: bytes) -> Any:
        evidence = self.claims(token)["submods"]["cpu0"]["ear.veraison.annotated-evidence"]
        return evidence["runtime_data_claims"]["tee-pubkey"]


@pytest.mark.parametrize("key", KEYS)
def test_a_consumer_of_trustee_s_shape(result_of: ResultOf, key: ear.SigningKey) -> None:
    broker = TrusteeBroker({"keys": [key.public.jwk()]})
    jwk = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "AA", "y": "AA"}
    good = issued(result_of(tree(snp=SNP, gpu=FABRIC), PLAIN, key=jwk), "trustee", key)
    assert broker.allows(good)
    assert broker.tee_key(good) == jwk
    vector = broker.claims(good)["submods"]["gpu1"]["ear.trustworthiness-vector"]
    assert (vector["hardware"], vector["executables"], vector["configuration"]) == (2, 3, 2)
    for bad in (
        result_of(tree(snp=SNP), policy_of("{snp: {vmpl: 0}}")),
        result_of(tree(snp=SNP), policy_of("{snp: {smt: false}}")),
        result_of(tree(snp=SNP, gpu=[FABRIC[0], {**FABRIC[1], "cert": "hold"}]), PLAIN),
    ):
        assert not broker.allows(issued(bad, "trustee", key))


# -- second opinions of the signature and the key's name ---------------------------------------------


@pytest.mark.parametrize("spelling", NAMES)
@pytest.mark.parametrize("key", KEYS)
def test_two_other_libraries_find_the_signature_good(
    result_of: ResultOf, spelling: Name, key: ear.SigningKey
) -> None:
    token = issued(result_of(tree(snp=SNP), CLEAN), spelling, key)
    pem = key.public.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    theirs = jwcrypto_jws.JWS()
    theirs.deserialize(token.decode(), jwcrypto_jwk.JWK.from_pem(pem), alg=key.public.algorithm)
    assert json.loads(theirs.payload) == parts_of(token)[1]
    ours = joserfc_jws.deserialize_compact(token, ECKey.import_key(pem), algorithms=[key.public.algorithm])
    assert json.loads(ours.payload) == parts_of(token)[1]


@pytest.mark.parametrize(("key", "algorithm"), [(P256, "ES256"), (P384, "ES384")])
def test_a_key_is_named_by_its_thumbprint(key: ear.SigningKey, algorithm: str) -> None:
    pem = key.public.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert key.public.kid == jwcrypto_jwk.JWK.from_pem(pem).thumbprint()
    assert key.public.kid == ECKey.import_key(pem).thumbprint()
    assert ear.VerificationKey.read(pem) == ear.VerificationKey(key.public.public)
    assert key.public.jwk()["alg"] == algorithm
    assert "d" not in key.public.jwk()
    assert repr(key) == f"<SigningKey {key.public.kid}>"


def test_the_payload_has_one_text(result_of: ResultOf) -> None:
    result = result_of(tree(snp=SNP), CLEAN)
    one, other = (ear.issue(result, TERMS, key=P256, token_id=bytes(16)) for _ in range(2))
    assert one.split(b".")[1] == other.split(b".")[1]
    # The signatures differ, and without a given id the tokens are told apart.
    ids = {parts_of(ear.issue(result, TERMS, key=P256))[1]["jti"] for _ in range(2)}
    assert len(ids) == 2


def test_times_are_whole_seconds_of_the_appraisal(result_of: ResultOf) -> None:
    claims = parts_of(issued(result_of(tree(snp=SNP), CLEAN), "ietf"))[1]
    assert datetime.fromtimestamp(claims["iat"], UTC) == NOW
    assert [type(claims[name]) for name in ("iat", "nbf", "exp")] == [int, int, int]
