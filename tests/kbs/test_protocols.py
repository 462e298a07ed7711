"""Guests of every protocol version, where the broker was told to serve them, and what an old one cannot do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from attest import Endorsements, Malformed
from attest.simulator import Simulator
from kbs.broker import Broker, Settings
from kbs.clock import Clock
from kbs.domain import ResourcePath, hashed
from kbs.protocol import CODECS, Served, jwe_rsa1_5
from kbs.protocol.tee_key import RSA1_5, TeeKey
from kbs.refusals import Refusal
from kbs.store.address import Address
from tests.kbs.conftest import PATH, SECRET, SNP_POLICY, Bench, make_bench
from tests.kbs.test_release import refused
from tests.kbs.twin import TwinGuest, TwinKey, unb64

ALL = Served(versions=frozenset(CODECS), rsa1_5=True, azure_evidence=0)
CPU_POLICY = SNP_POLICY.replace("  gpu: {count: {at-least: 1}}\n", "")
assert CPU_POLICY != SNP_POLICY
OLD = ["0.1.0", "0.1.1", "0.2.0"]
KEYS: dict[str, Callable[[], TwinKey]] = {
    "P-256": TwinKey.elliptic,
    "P-521": lambda: TwinKey.elliptic("P-521"),
    "RSA-OAEP-256": TwinKey.rsa,
    "RSA1_5": lambda: TwinKey.rsa("RSA1_5"),
}
MATRIX = [
    (version, key) for version in ("0.2.0", "0.3.0", "0.4.0") for key in ("P-256", "P-521", "RSA-OAEP-256")
] + [("0.1.0", "RSA1_5"), ("0.1.1", "RSA1_5")]


@pytest.fixture
def open_bench(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> Iterator[Bench]:
    """Serves all there is."""
    for bench in make_bench(tmp_path, simulator, endorsements, empty, Settings(served=ALL)):
        bench.owner("acme", CPU_POLICY)
        bench.secret("acme")
        yield bench


def old_guest(bench: Bench, version: str, key: TwinKey | None = None) -> TwinGuest:
    key = key or (KEYS["RSA1_5"] if version.startswith("0.1.") else TwinKey.elliptic)()
    machine = bench.machine(gpus=0) if version in ("0.3.0", "0.4.0") else bench.old_machine()
    return TwinGuest(bench.http(), machine, key=key, version=version)


@pytest.mark.parametrize("way", ["cookie", "bearer"])
@pytest.mark.parametrize(("version", "key"), MATRIX)
def test_a_guest_of_each_version_receives(open_bench: Bench, version: str, key: str, way: str) -> None:
    guest = old_guest(open_bench, version, KEYS[key]())
    guest.auth()
    token = guest.attest()
    assert guest.resource(PATH, token if way == "bearer" else None) == SECRET
    assert open_bench.rows("attested")[-1]["protocol"] == version


def test_a_td_of_an_old_version_is_bound_as_well(open_bench: Bench) -> None:
    guest = old_guest(open_bench, "0.2.0")
    guest.tee, guest.machine = "tdx", open_bench.old_machine(cpu="tdx")
    guest.auth()
    guest.attest()
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)  # the policy lists SNP alone


# -- what is served -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [*OLD, "0.3.0"])
def test_t_version_downgrade_an_old_version_is_refused_until_it_is_configured(
    acme: Bench, version: str
) -> None:
    with refused(401, "ProtocolVersion"):
        old_guest(acme, version).auth()


def test_the_mismatch_names_every_version_that_is_served(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> None:
    served = Served(versions=frozenset({"0.2.0", "0.4.0"}))
    for bench in make_bench(tmp_path, simulator, endorsements, empty, Settings(served=served)):
        with pytest.raises(Exception, match=r"expect =0\.4\.0 or =0\.2\.0 while the request is 0\.3\.0"):
            old_guest(bench, "0.3.0").auth()


@pytest.mark.parametrize(
    ("keywords", "cause"),
    [
        ({"versions": frozenset()}, "at least one"),
        ({"versions": frozenset({"0.4.1"})}, "no protocol 0.4.1"),
        ({"versions": frozenset({"0.4.0", "0.1.1"})}, "0.1.1 needs RSA1_5"),
        ({"versions": frozenset({"0.1.0"})}, "0.1.0 needs RSA1_5"),
        ({"azure_evidence": 3}, "0, 1 or 2"),
    ],
)
def test_settings_that_serve_nobody_are_refused(keywords: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        Served(**keywords)


@pytest.mark.parametrize("step", ["attest", "release"])
def test_t_version_downgrade_a_version_that_is_served_no_more_ends_its_sessions(
    open_bench: Bench, step: str
) -> None:
    """A replica with other settings, or this broker started again: what began under old ones does not go on."""
    guest = old_guest(open_bench, "0.2.0")
    guest.auth()
    body = guest.attestation()
    if step == "release":
        guest.attest(body)
    cookie = guest.http.cookies["kbs-session-id"]
    strict = Broker(
        open_bench.store,
        open_bench.keys,
        open_bench.broker._verification,
        Settings(),
        Clock(open_bench.clock),
    )
    with pytest.raises(Refusal, match="Protocol Version Mismatch") as refusal:
        if step == "attest":
            strict.attest(cookie, body)
        else:
            strict.release(hashed(cookie), ResourcePath.parse(PATH))
    assert refusal.value.status == 401


def test_t_version_downgrade_an_owner_asks_for_a_protocol(open_bench: Bench) -> None:
    strict = CPU_POLICY.replace("{key: true}", "{key: true, protocol: {at-least: 0.4}}")
    open_bench.administration.put_rule("test", "acme", "acme/*", strict)
    for version in (*OLD, "0.3.0"):
        with refused(403, "PolicyDeny"):
            old_guest(open_bench, version).boot(PATH)
        assert open_bench.codes() == {"policy.binding.protocol"}
    assert old_guest(open_bench, "0.4.0").boot(PATH) == SECRET


# -- devices --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("member", ["additional_evidence", "device_evidence_list", "primary_evidence"])
def test_t_unbound_a_version_that_ties_no_device_to_the_cpu_carries_none(
    open_bench: Bench, version: str, member: str
) -> None:
    guest = old_guest(open_bench, version)
    guest.auth()
    message = json.loads(guest.attestation())
    evidence = message["tee-evidence"]
    evidence = json.loads(evidence) if version == "0.1.0" else evidence
    evidence[member] = open_bench.machine(gpus=1)(guest.nonce, guest.key.jwk)[1]
    message["tee-evidence"] = json.dumps(evidence) if version == "0.1.0" else evidence
    with refused(400, "SerdeError"):
        guest.attest(json.dumps(message).encode())


def test_t_version_downgrade_devices_by_0_3_0_are_refused_by_default(open_bench: Bench) -> None:
    open_bench.administration.put_rule("test", "acme", "acme/*", SNP_POLICY)
    guest = TwinGuest(open_bench.http(), open_bench.machine(gpus=1), version="0.3.0")
    with refused(403, "PolicyDeny"):
        guest.boot(PATH)
    assert open_bench.codes() == {"policy.binding.protocol"}


@pytest.mark.parametrize("version", [*OLD, "0.3.0"])
def test_t_keyswap_an_old_body_with_another_key_is_refused(open_bench: Bench, version: str) -> None:
    guest, thief = old_guest(open_bench, version), old_guest(open_bench, version)
    guest.auth()
    with refused(401, "AttestationError"):
        guest.attest(guest.attestation(**{"tee-pubkey": thief.key.jwk}))
    assert open_bench.codes() == {"binding.report-data"}


@pytest.mark.parametrize("version", [*OLD, "0.3.0"])
def test_t_replay_an_old_body_for_another_nonce_is_refused(open_bench: Bench, version: str) -> None:
    guest = old_guest(open_bench, version)
    guest.auth()
    body = guest.attestation()
    guest.auth()
    with refused(401, "AttestationError"):
        guest.attest(body)


def test_the_digests_of_old_and_new_versions_are_not_interchangeable(open_bench: Bench) -> None:
    new = old_guest(open_bench, "0.4.0")
    new.machine = open_bench.old_machine()
    with refused(401, "AttestationError"):
        new.boot(PATH)
    old = old_guest(open_bench, "0.2.0")
    old.machine = open_bench.machine(gpus=0)
    with refused(401, "AttestationError"):
        old.boot(PATH)


# -- keys -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "key"),
    [
        ("0.1.0", "P-256"),
        ("0.1.1", "RSA-OAEP-256"),
        ("0.2.0", "RSA1_5"),
        ("0.3.0", "RSA1_5"),
        ("0.4.0", "RSA1_5"),
    ],
)
def test_t_jwe_rsa1_5_is_for_0_1_alone_and_the_only_one_there(
    open_bench: Bench, version: str, key: str
) -> None:
    guest = old_guest(open_bench, version, KEYS[key]())
    guest.auth()
    with refused(400, "SerdeError"):
        guest.attest()


def test_the_0_1_answer_has_known_bytes_for_known_parts() -> None:
    answer = jwe_rsa1_5.seal(b"secret", bytes(range(32)), bytes(range(12)), bytes(range(8)))
    assert answer == (
        b'{"protected":"{\\"alg\\":\\"RSA1_5\\",\\"enc\\":\\"A256GCM\\"}","encrypted_key":"AAECAwQFBgc",'
        b'"iv":"AAECAwQFBgcICQoL","ciphertext":"' + KNOWN + b'","tag":""}'
    )


KNOWN = b"NGe1aaCRwxgbUOVcy2jwB3jZa7D6iA"
"""AES-256-GCM of the parts above by RFC 5116, tag behind the ciphertext; the first six bytes are those of the JWE in
`test_jwe`, which jwcrypto opens."""


def test_a_0_1_answer_takes_a_fresh_content_key_and_iv_each_time() -> None:
    twin = TwinKey.rsa("RSA1_5")
    key = TeeKey.from_jwk(twin.jwk, frozenset({RSA1_5}))
    answers = [json.loads(jwe_rsa1_5.encrypt(SECRET, key)) for _ in range(4)]
    assert isinstance(twin.private, rsa.RSAPrivateKey)
    for member in ("encrypted_key", "iv", "ciphertext"):
        assert len({answer[member] for answer in answers}) == 4
    assert all(twin.open_0_1(json.dumps(answer).encode()) == SECRET for answer in answers)
    assert len(unb64(answers[0]["ciphertext"])) == len(SECRET) + 16


def test_an_answer_for_another_algorithm_than_the_keys_is_the_callers_mistake() -> None:
    from kbs.protocol import jwe

    with pytest.raises(ValueError, match="RSA1_5 keys alone"):
        jwe_rsa1_5.encrypt(SECRET, TeeKey.from_jwk(TwinKey.rsa().jwk))
    with pytest.raises(ValueError, match="its own key"):
        jwe.encrypt(SECRET, TeeKey.from_jwk(TwinKey.rsa("RSA1_5").jwk, frozenset({RSA1_5})))


# -- bodies ---------------------------------------------------------------------------------------------


KEY = TwinKey.elliptic().jwk
OLD_KEY = TwinKey.rsa("RSA1_5").jwk


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("0.1.0", {"tee-pubkey": OLD_KEY, "tee-evidence": {}}),
        ("0.1.0", {"tee-pubkey": OLD_KEY, "tee-evidence": "{"}),
        ("0.1.0", {"tee-pubkey": OLD_KEY, "tee-evidence": '{"a":1,"a":2}'}),
        ("0.1.0", {"tee-evidence": "{}"}),
        ("0.1.1", {"tee-evidence": {}}),
        ("0.1.1", {"tee-pubkey": "x", "tee-evidence": {}}),
        ("0.2.0", {"tee-pubkey": None, "tee-evidence": {}}),
        ("0.2.0", []),
        ("0.3.0", {"tee-pubkey": KEY, "tee-evidence": {}}),
        ("0.3.0", {"tee-pubkey": KEY, "tee-evidence": "{}"}),
        ("0.3.0", {"tee-pubkey": KEY, "tee-evidence": {"primary_evidence": {}, "additional_evidence": None}}),
    ],
)
def test_a_body_of_another_shape_is_malformed(version: str, body: Any) -> None:
    with pytest.raises(Malformed):
        CODECS[version].read_attestation(json.dumps(body).encode())


@pytest.mark.parametrize("version", list(CODECS))
def test_a_body_of_another_version_is_malformed(version: str, bench: Bench) -> None:
    """No body is read as two versions that bind differently."""
    for other in CODECS:
        if {version, other} in ({"0.1.1", "0.2.0"}, {version}):
            continue  # one shape; the keys differ
        guest = old_guest(bench, other)
        guest.nonce = "bm9uY2Vub25jZW5vbmNlbm9uY2Vub25jZW5vbmNlbm8="
        with pytest.raises(Malformed):
            CODECS[version].read_attestation(guest.attestation())


@pytest.mark.parametrize("extra", ["", {}, None, {"supported-hash-algorithms": []}, [1]])
@pytest.mark.parametrize("version", list(CODECS))
def test_any_extra_params_get_a_challenge(open_bench: Bench, version: str, extra: Any) -> None:
    body = json.dumps({"version": version, "tee": "snp", "extra-params": extra}).encode()
    answer = open_bench.http().post("/kbs/v0/auth", content=body)
    assert answer.status_code == 200
    assert answer.json()["extra-params"] == ""
