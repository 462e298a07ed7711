"""Guests that attested elsewhere and bring the token: whose word counts, for whom the secret is wrapped, what is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from attest import Endorsements
from attest.result.passport import Issuer, read, read_jwks
from attest.simulator import Simulator
from kbs.broker import Settings
from kbs.passport import Issuers
from kbs.passport.keys import KeyFile, KeysUnavailable
from kbs.store.address import Address, SqliteFile
from tests.kbs.conftest import MEASUREMENT, NOON, PATH, SECRET, SNP_POLICY, Bench, make_bench
from tests.kbs.test_release import refused, sealed
from tests.kbs.twin import TwinGuest, TwinKey, refusal_of
from tests.passport.conftest import OTHER, SNP, TRUSTEE, cpu, jwk, part, payload, signed

NAMED = f"""\
policy: 1
name: passports
platforms: [snp]
allow-warnings:
  revocation-unchecked: it looks at lists itself
  no-freshness: it gave the challenge
  issuer.silent: it refuses other levels
require:
  evidence: {{verified-by: {{one-of: [trustee-prod], override: we run it}}}}
  snp: {{measurement: {{is: "{MEASUREMENT}", covers: image}}}}
  binding: {{key: true}}
"""
GUEST = TwinKey.elliptic()


def token(key: Mapping[str, Any] | None = GUEST.jwk, at: datetime = NOON, **changes: Any) -> str:
    start = int(at.timestamp())
    runtime = {"nonce": "bm9uY2U="} | ({} if key is None else {"tee-pubkey": dict(key)})
    said = cpu(said={**SNP, "measurement": MEASUREMENT}, runtime_data_claims=runtime)
    times = {"iat": start, "exp": start + 300}
    return signed(payload({"cpu0": part(said)}, **(times | changes))).decode()


@pytest.fixture
def passports(bench: Bench, tmp_path: Path) -> Bench:
    """A broker that reads the tokens of one issuer, and an owner who names it."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk()]}))
    trust(bench, [(TRUSTEE, KeyFile(file, read_jwks))])
    bench.owner("acme", NAMED)
    bench.secret("acme")
    return bench


def trust(bench: Bench, trusted: list[Any]) -> None:
    verification = replace(bench.broker._verification, issuers=Issuers(trusted))
    object.__setattr__(bench.broker, "_verification", verification)


def ask(bench: Bench, text: str, path: str = PATH) -> httpx.Response:
    return bench.http().get(f"/kbs/v0/resource/{path}", headers={"authorization": f"Bearer {text}"})


def test_a_guest_with_a_token_of_a_named_issuer_receives(passports: Bench) -> None:
    answer = ask(passports, token())
    assert GUEST.open(answer.content) == SECRET
    (row,) = passports.rows("released")
    assert (row["issuer"], row["simulated"]) == ("trustee-prod", False)
    assert "session" not in row


def test_the_token_itself_is_kept_nowhere(passports: Bench) -> None:
    text = token()
    ask(passports, text)
    stored = b"".join(file.read_bytes() for file in passports.folder.glob("broker.db*"))
    assert text.encode() not in stored
    assert text.split(".")[2].encode() not in stored


@pytest.mark.parametrize("algorithm", ["P-521", "RSA-OAEP-256"])
def test_t_keyswap_the_secret_is_wrapped_for_the_key_in_the_token(passports: Bench, algorithm: str) -> None:
    key = TwinKey.elliptic("P-521") if algorithm == "P-521" else TwinKey.rsa()
    assert key.open(ask(passports, token(key.jwk)).content) == SECRET


@pytest.mark.parametrize(
    "key", [None, TwinKey.rsa("RSA1_5").jwk, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]
)
def test_a_token_without_a_key_that_is_served_gives_nothing(passports: Bench, key: Any) -> None:
    refusal = refusal_of(ask(passports, token(key)))
    assert (refusal.status, refusal.kind) == (401, "TokenVerifierError")


def test_the_same_token_again_is_a_repeat(passports: Bench) -> None:
    text = token()
    ask(passports, text)
    ask(passports, text)
    assert len(passports.rows("released")) == len(passports.rows("repeat")) == 1
    ask(passports, token(at=NOON - timedelta(seconds=1)))
    assert len(passports.rows("released")) == 2


def test_an_owner_who_does_not_name_the_issuer_gives_nothing(passports: Bench) -> None:
    passports.administration.put_rule("test", "acme", "acme/*", SNP_POLICY)
    assert refusal_of(ask(passports, token())).status == 403
    assert "policy.evidence.verified-by" in passports.codes()


def test_all_owners_must_name_it(passports: Bench) -> None:
    passports.owner("clinic", NAMED.replace("[trustee-prod]", "[another]"))
    passports.secret("acme", "clinic", path="acme/key/joint")
    assert refusal_of(ask(passports, token(), "acme/key/joint")).status == 403
    assert passports.codes() == {"policy.evidence.verified-by"}


def test_t_toctou_the_policy_of_now_decides(passports: Bench) -> None:
    text = token()
    ask(passports, text)
    passports.administration.put_rule("test", "acme", "acme/*", NAMED.replace(MEASUREMENT, "00" * 48))
    assert refusal_of(ask(passports, text)).status == 403
    assert passports.codes() == {"policy.snp.measurement"}


def test_a_missing_resource_is_404_only_for_whom_the_path_is_allowed(passports: Bench) -> None:
    assert refusal_of(ask(passports, token(), "acme/key/absent")).status == 404
    assert refusal_of(ask(passports, token(), "other/key/absent")).status == 403


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": None}, None),
        ({"exp": int(NOON.timestamp()) + 601}, "ear.lifetime"),
        ({"exp": int(NOON.timestamp())}, "ear.expired"),
        ({"aud": "us"}, "ear.audience"),
    ],
)
def test_what_the_issuer_signed_and_does_not_count_leaves_a_row(
    passports: Bench, changes: dict[str, Any], code: str | None
) -> None:
    refusal = refusal_of(ask(passports, token(**changes)))
    assert (refusal.status, refusal.kind) == (401, "TokenVerifierError")
    rows = passports.rows("passport-refused")
    if code is None:
        assert rows == [], "malformed: as what a stranger sends"
    else:
        assert code in {problem["code"] for problem in rows[-1]["problems"]}


def test_t_jwtalg_what_the_issuer_did_not_sign_leaves_none(passports: Bench) -> None:
    forged = signed(payload(), {"typ": "JWT", "alg": "ES256", "jwk": jwk(OTHER)}, OTHER).decode()
    none = signed(payload(), {"typ": "JWT", "alg": "none", "jwk": jwk()}).decode()
    for text in (forged, none, token()[:-4] + "AAAA"):
        refusal = refusal_of(ask(passports, text))
        assert (refusal.status, refusal.kind) == (401, "TokenVerifierError")
    assert passports.rows("passport-refused") == []


def test_a_token_of_nobody_we_know_starts_the_handshake(passports: Bench) -> None:
    for text in (token(iss="another"), "a.b.c", "x"):
        refusal = refusal_of(ask(passports, text))
        assert (refusal.status, refusal.kind) == (401, "TokenNotFound")


def test_a_broker_without_issuers_reads_no_foreign_token(acme: Bench) -> None:
    assert refusal_of(ask(acme, token())).kind == "TokenNotFound"


def test_an_attested_cookie_comes_before_a_foreign_token(passports: Bench) -> None:
    passports.administration.put_rule(
        "test", "acme", "acme/*", SNP_POLICY.replace("  gpu: {count: {at-least: 1}}\n", "")
    )
    guest = passports.guest(gpus=0)
    guest.boot(PATH)
    answer = guest.http.get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {token()}"})
    assert guest.key.open(answer.content) == SECRET


# -- keys -----------------------------------------------------------------------------------------------------


def test_keys_in_a_file_follow_the_file(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(OTHER)]}))
    source = KeyFile(file, read_jwks)
    issuers = Issuers([(TRUSTEE, source)])
    with pytest.raises(Exception, match="a key that is not trusted"):
        issuers.read(token(), at=NOON, simulated=False)
    file.write_text(json.dumps({"keys": [jwk(OTHER), jwk()]}))
    assert issuers.read(token(), at=NOON, simulated=False)
    file.write_text("half a fi")
    assert issuers.read(token(), at=NOON, simulated=False), "the last good keys stay"


def test_two_issuers_cannot_be_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk()]}))
    for other in (Issuer("other", TRUSTEE.iss, "kbs"), Issuer(TRUSTEE.name, "other", "kbs")):
        with pytest.raises(ValueError, match="two issuers"):
            Issuers([(TRUSTEE, KeyFile(file, read_jwks)), (other, KeyFile(file, read_jwks))])


class Rotating:
    """An issuer whose keys change under our eyes."""

    def __init__(self) -> None:
        self.keys = read_jwks(json.dumps({"keys": [jwk(OTHER)]}).encode())
        self.asked = 0

    def current(self, now: datetime) -> Any:
        return self.keys

    def renewed(self, now: datetime) -> Any:
        self.asked += 1
        self.keys = read_jwks(json.dumps({"keys": [jwk()]}).encode())
        return self.keys


def test_a_token_under_a_new_key_of_its_issuer_is_read_at_once() -> None:
    source = Rotating()
    issuers = Issuers([(TRUSTEE, source)])
    assert issuers.read(token(), at=NOON, simulated=False)
    assert source.asked == 1


class Silent:
    def current(self, now: datetime) -> Any:
        raise KeysUnavailable

    def renewed(self, now: datetime) -> None:
        return None


def test_keys_that_cannot_be_had_release_nothing(passports: Bench) -> None:
    trust(passports, [(TRUSTEE, Silent())])
    assert refusal_of(ask(passports, token())).status == 503


# -- brokers of ours --------------------------------------------------------------------------------------------


@pytest.fixture
def two(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address, empty_file: bytes
) -> Any:
    """A broker that attests, and one that releases on its word."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    (tmp_path / "other.db").write_bytes(empty_file)
    other = SqliteFile(tmp_path / "other.db")
    for first in make_bench(tmp_path / "first", simulator, endorsements, empty, Settings()):
        for second in make_bench(tmp_path / "second", simulator, endorsements, other, Settings()):
            file = tmp_path / "jwks.json"
            file.write_bytes(first.http().get("/.well-known/jwks.json").content)
            trust(second, [(Issuer("first", "kbs", "kbs", "kbs-guest"), KeyFile(file, read_jwks))])
            yield first, second


def elsewhere(policy: str) -> str:
    named = "require:\n  evidence: {verified-by: {one-of: [first], override: ours}}\n"
    warned = policy.replace("allow-warnings: {", "allow-warnings: {issuer.warned: defaults, ")
    return warned.replace("require:\n", named)


def attested(bench: Bench, **keywords: Any) -> tuple[TwinGuest, str]:
    guest = bench.guest(**keywords)
    guest.auth()
    return guest, guest.attest()


def test_a_token_of_another_broker_of_ours_carries_all_its_claims(two: Any) -> None:
    first, second = two
    _, text = attested(first, gpus=2)
    passport = second.broker.passport(text)
    assert passport is not None
    row = first.rows("attested")[-1]
    claims = passport.attested.claims
    assert claims["evidence"] == {"verified-by": "first", "simulated": "true"}
    assert claims["snp"]["measurement"] == MEASUREMENT
    assert claims["snp"]["crl"] == "fresh"
    assert len(claims["gpu"]) == 2
    assert claims["binding"]["gpu-to-cpu"] == "true"
    verified = sealed(first)[1]
    for section in ("snp", "binding", "gpu", "time"):
        assert claims[section] == verified.claims[section], section
    assert row["simulated"] is True


def _payload(text: str) -> bytes:
    from tests.kbs.twin import unb64

    return unb64(text.split(".")[1])


def test_it_releases_under_a_policy_that_names_the_broker(two: Any) -> None:
    first, second = two
    second.owner("acme", elsewhere(SNP_POLICY))
    second.secret("acme")
    guest, text = attested(first)
    answer = second.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {text}"})
    assert guest.key.open(answer.content) == SECRET
    with refused(401, "TokenNotFound"):
        TwinGuest(first.http(), guest.machine).resource(PATH)


def test_without_the_name_it_does_not(two: Any) -> None:
    first, second = two
    second.owner("acme", SNP_POLICY)
    second.secret("acme")
    _, text = attested(first)
    refusal = refusal_of(
        second.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {text}"})
    )
    assert refusal.status == 403
    assert "policy.evidence.verified-by" in second.codes()


def test_t_sample_a_broker_without_the_root_refuses_its_simulated_machines(two: Any) -> None:
    from attest import Anchors

    first, second = two
    object.__setattr__(second.broker._verification, "anchors", Anchors.production())
    _, text = attested(first)
    refusal = refusal_of(
        second.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {text}"})
    )
    assert refusal.kind == "TokenVerifierError"
    assert second.codes() == {"ear.simulated"}


def test_t_paravisor_an_azure_machine_is_released_nothing_on_anothers_word(two: Any) -> None:
    from tests.kbs.test_azure import guest as azure_guest

    first, second = two
    guest = azure_guest(first)
    guest.auth()
    text = guest.attest()
    refusal = refusal_of(
        second.http().get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {text}"})
    )
    assert refusal.kind == "TokenVerifierError"
    assert "issuer.tee" in second.codes()


def test_the_adapter_for_trustee_reads_our_tokens_in_trustees_type(two: Any) -> None:
    """The shape is Trustee's; only the type tells the two, and an adapter reads one type."""
    import jwt

    first, _ = two
    _, text = attested(first, gpus=0)
    claims = json.loads(_payload(text))
    keys = first.keys.tokens(first.clock.now)
    again = jwt.encode(
        claims, keys[0], algorithm="ES256", headers={"kid": first.broker.jwks()["keys"][0]["kid"]}
    )
    issuer = Issuer("first", "kbs", "trustee", "kbs-guest")
    published = read_jwks(json.dumps(first.broker.jwks()).encode())
    theirs = read(again.encode(), issuer, published, at=first.clock.now, simulated=True)
    ours = read(text.encode(), replace(issuer, adapter="kbs"), published, at=first.clock.now, simulated=True)
    snp = dict(theirs.claims["snp"])
    assert snp.pop("crl") == "absent"
    assert snp == {name: ours.claims["snp"][name] for name in snp}
    with pytest.raises(Exception, match="another type"):
        read(text.encode(), issuer, published, at=first.clock.now, simulated=True)
