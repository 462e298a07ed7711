"""Guests that get the secret, and everyone who must not. The whole way, in one process."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest import Anchors, Endorsements, Expected, Verified, verify
from attest.simulator import Simulator
from kbs.broker import Broker, Settings, Verification
from kbs.clock import Clock
from kbs.collateral import Epoch
from kbs.domain import ResourcePath, Session, hashed
from kbs.refusals import Refusal
from kbs.sealed import context_of
from kbs.store.address import Address
from kbs.store.audit_rows import AuditRows
from tests.kbs.conftest import ALLOWED, PATH, SECRET, SNP_POLICY, Bench, make_bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.twin import TwinGuest, TwinKey, TwinRefused

NEWER_FIRMWARE = SNP_POLICY.replace("{snp: 20}", "{snp: 200}")
TDX_POLICY = f"""\
policy: 1
name: tdx-machines
platforms: [tdx]
allow-warnings: {{no-workload-identity: test, {ALLOWED[1:]}
require:
  # The floor data of the package has long ended in the year of these tests.
  tdx: {{debug: false, tcb-evaluation: {{at-least: 1, override: test}}}}
  gpu: {{count: {{at-least: 1}}}}
"""


def sealed(bench: Bench) -> tuple[Session, Verified]:
    """The one session that is there, and its claims."""
    ((session_id,),) = bench.sql("SELECT id FROM sessions")
    session = bench.store.read(lambda tx: tx.sessions.session(session_id))
    assert session is not None
    return session, Verified.unseal(bench.keys.session.seal, context_of(session), session.sealed)


def refused(status: int, kind: str) -> pytest.RaisesExc[TwinRefused]:
    return pytest.RaisesExc(TwinRefused, check=lambda e: (e.status, e.kind) == (status, kind))


def test_conforming_machine_receives_and_opens_the_secret(acme: Bench) -> None:
    assert acme.guest().boot(PATH) == SECRET
    (row,) = acme.rows("released")
    assert row["resource"] == PATH
    assert row["simulated"] is True
    assert [agreed["owner"] for agreed in row["agreed"]] == ["acme"]
    assert acme.administration.record.proof(()).faults == ()


def test_t_collateral_rollback_the_list_that_refused_a_guest_is_not_forgotten(acme: Bench) -> None:
    """A folder that goes back to the list of the day before does not bring the guest back."""
    kept = acme.collateral.epoch.endorsements
    day_before = acme.simulator.moved_to(acme.clock.now - timedelta(days=1)).snp().endorsements.crls
    revoking = acme.simulator.snp(fault="snp-ask-revoked").endorsements.crls
    acme.collateral.epoch = Epoch("second", replace(kept, crls=revoking))
    with refused(401, "AttestationError"):
        acme.guest().boot(PATH)
    assert acme.codes() == {"x509.revoked"}
    acme.collateral.epoch = Epoch("third", replace(kept, crls=day_before))
    with refused(401, "AttestationError"):
        acme.guest().boot(PATH)
    assert acme.codes() == {"x509.crl.rollback"}


def test_tdx_machine_receives_under_a_tdx_policy(bench: Bench) -> None:
    bench.owner("acme", TDX_POLICY)
    bench.secret("acme")
    assert bench.guest(cpu="tdx").boot(PATH) == SECRET


@pytest.mark.parametrize("key", [TwinKey.elliptic("P-521"), TwinKey.rsa()], ids=["P-521", "RSA-OAEP-256"])
def test_other_keys_of_the_protocol_receive(acme: Bench, key: TwinKey) -> None:
    assert replace(acme.guest(), key=key).boot(PATH) == SECRET


def test_key_with_a_member_of_its_own_receives(acme: Bench) -> None:
    key = TwinKey.elliptic()
    key.jwk["kid"] = "mine"
    assert replace(acme.guest(), key=key).boot(PATH) == SECRET


def test_double_slash_of_current_clients_is_served(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    assert guest.resource(f"/{PATH}") == SECRET
    with refused(404, "InvalidRequestPath"):
        guest.resource(f"//{PATH}")


def test_bearer_token_stands_for_its_session(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    elsewhere = acme.http()
    answer = elsewhere.get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {token}"})
    assert guest.key.open(answer.content) == SECRET


def test_bearer_token_counts_beside_a_cookie_that_is_no_attested_session(acme: Bench) -> None:
    guest, other = acme.guest(), acme.guest()
    guest.auth()
    token = guest.attest()
    other.auth()  # leaves the cookie of a challenge
    answer = other.http.get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {token}"})
    assert guest.key.open(answer.content) == SECRET
    other.attest()
    answer = other.http.get(f"/kbs/v0/resource/{PATH}", headers={"authorization": f"Bearer {token}"})
    assert other.key.open(answer.content) == SECRET  # an attested session comes first


# -- binding -------------------------------------------------------------------------------------------


def test_t_keyswap_evidence_of_another_key_is_refused(acme: Bench) -> None:
    guest, thief = acme.guest(), TwinKey.elliptic()
    guest.auth()
    runtime = {"nonce": guest.nonce, "tee-pubkey": thief.jwk}
    with refused(401, "AttestationError"):
        guest.attest(guest.attestation(**{"runtime-data": runtime}))
    assert "binding.report-data" in acme.codes()


def test_t_nonce_echo_evidence_for_another_nonce_is_refused(acme: Bench) -> None:
    first, second = acme.guest(), acme.guest()
    first.auth()
    old = first.attestation()
    second.auth()
    runtime = json.loads(old) | {"runtime-data": {"nonce": second.nonce, "tee-pubkey": first.key.jwk}}
    with refused(401, "AttestationError"):
        second.attest(json.dumps(runtime).encode())
    assert {"binding.report-data", "binding.gpu-nonce"} <= acme.codes()


def test_t_nonce_echo_body_that_names_another_nonce_is_refused_by_name(acme: Bench) -> None:
    first, second = acme.guest(), acme.guest()
    first.auth()
    second.auth()
    with refused(401, "AttestationError"):
        second.attest(first.attestation())
    assert acme.codes() == {"kbs.nonce.mismatch"}


def test_missing_gpu_is_denied(acme: Bench) -> None:
    with refused(403, "PolicyDeny"):
        acme.guest(gpus=0).boot(PATH)
    assert any(code.startswith("policy.gpu") for code in acme.codes())


def test_t_unbound_gpu_taken_away_after_the_cpu_signed_is_refused(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    message = json.loads(guest.attestation())
    message["tee-evidence"]["additional_evidence"] = ""
    with refused(401, "AttestationError"):
        guest.attest(json.dumps(message).encode())
    assert "binding.report-data" in acme.codes()


def test_gpu_presented_twice_is_refused(acme: Bench) -> None:
    guest = acme.guest()

    def doubled(nonce: str, key: object) -> tuple[object, str]:
        machine = acme.simulator.machine(
            gpus=2, nonce=base64.b64decode(nonce), key=guest.key.jwk, fault="machine-gpu-doubled"
        )
        document = json.loads(machine.files["simulated-machine.json"])
        return document["primary_evidence"], document["additional_evidence"]

    guest.machine = doubled
    with refused(401, "AttestationError"):
        guest.boot(PATH)
    assert "devices.duplicate" in acme.codes()


def test_t_unbound_one_byte_of_the_additional_evidence_changed_is_refused(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    message = json.loads(guest.attestation())
    text = message["tee-evidence"]["additional_evidence"]
    message["tee-evidence"]["additional_evidence"] = text.replace('"unknown"', '"Unknown"')
    with refused(401, "AttestationError"):
        guest.attest(json.dumps(message).encode())


def test_t_sample_production_broker_refuses_a_simulated_machine(bench: Bench) -> None:
    object.__setattr__(bench.broker._verification, "anchors", Anchors.production())
    with refused(401, "AttestationError"):
        bench.guest().boot(PATH)
    assert bench.rows("attested") == []


def test_session_granted_under_a_simulators_root_is_none_for_a_broker_without_that_root(acme: Bench) -> None:
    """Two brokers on one database, or one started again: what a root was named for ends with the naming."""
    guest = acme.guest()
    guest.boot(PATH)
    production = Verification(Anchors.production(), acme.collateral)
    broker = Broker(acme.store, acme.keys, production, Settings(), Clock(acme.clock))
    session = hashed(guest.http.cookies["kbs-session-id"])
    with pytest.raises(Refusal, match="attest again") as refusal:
        broker.release(session, ResourcePath.parse(PATH))
    assert refusal.value.status == 401
    assert guest.resource(PATH) == SECRET


# -- time ----------------------------------------------------------------------------------------------


def test_stale_session_attests_again(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.clock.pass_seconds(300)
    guest.http.cookies.jar.clear_expired_cookies()
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)


def test_session_ends_with_its_challenge_not_five_minutes_after_attesting(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    acme.clock.pass_seconds(299)
    guest.attest()
    acme.clock.pass_seconds(1)
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)


def test_stale_challenge_is_refused(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    acme.clock.pass_seconds(300)
    with refused(401, "AttestationError"):
        guest.attest()


def test_t_clock_clock_that_steps_back_releases_nothing(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    acme.clock.pass_seconds(-11)
    with refused(503, "InternalError"):
        guest.resource(PATH)
    assert acme.rows("released") == []


def test_clock_that_is_turned_back_revives_no_ended_session(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    acme.clock.pass_seconds(400)
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)
    acme.clock.pass_seconds(-300)  # within the session's time once more
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)
    assert acme.rows("released") == []


def test_challenge_from_a_later_clock_is_refused(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    acme.clock.pass_seconds(-11)
    with refused(503, "InternalError"):
        guest.attest()


def test_session_does_not_outlive_the_endorsements_it_rests_on(acme: Bench) -> None:
    acme.guest().boot(PATH)
    end = sealed(acme)[1].expires
    acme.clock.now = end - timedelta(seconds=10)
    guest = acme.guest()
    assert guest.boot(PATH) == SECRET
    acme.clock.pass_seconds(10)
    with refused(401, "AttestationError"):
        guest.resource(PATH)


def test_claims_that_bind_no_key_release_nothing(acme: Bench) -> None:
    """No request makes such a session; if a later one did, release would still refuse."""
    acme.guest().boot(PATH)
    session, _ = sealed(acme)
    machine = acme.simulator.moved_to(acme.clock.now).machine(nonce=bytes(range(32)))
    keyless = verify(
        machine.evidence,
        endorsements=machine.endorsements,
        at=acme.clock.now,
        anchors=acme.simulator.anchors(),
        expected=Expected(nonce=bytes(range(32)), protocol="0.4"),
    )
    session = replace(session, id=bytes(32), token_id="other")
    session = replace(session, sealed=keyless.seal(acme.keys.session.seal, context_of(session)))
    acme.store.write(lambda tx: tx.sessions.add_session(session))
    acme.administration.put_rule("test", "acme", "acme/*", SNP_POLICY.replace("  binding: {key: true}\n", ""))
    with pytest.raises(Refusal, match="binds no key"):
        acme.broker.release(bytes(32), ResourcePath.parse(PATH))


def test_t_toctou_endorsements_that_changed_since_ask_for_a_new_attestation(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.collateral.epoch = Epoch("second", acme.collateral.epoch.endorsements)
    with refused(401, "AttestationError"):
        guest.resource(PATH)
    assert guest.boot(PATH) == SECRET


def test_evidence_that_grew_too_old_for_an_owner_is_401_because_attesting_again_cures_it(
    acme: Bench,
) -> None:
    acme.administration.put_rule(
        "test", "acme", "acme/*", SNP_POLICY + "  time: {evidence-age: {at-most: 60s}}\n"
    )
    guest = acme.guest()
    assert guest.boot(PATH) == SECRET
    acme.clock.pass_seconds(61)
    with refused(401, "PolicyDeny"):
        guest.resource(PATH)
    assert guest.boot(PATH) == SECRET


# -- owners and rules ----------------------------------------------------------------------------------


def test_t_toctou_policy_that_changed_between_attest_and_release_decides(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    assert acme.codes() == {"policy.snp.tcb"}
    acme.administration.put_rule("test", "acme", "acme/*", SNP_POLICY)
    assert guest.resource(PATH) == SECRET


def test_denial_tells_the_guest_a_reason_and_the_owner_the_cause(acme: Bench) -> None:
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with pytest.raises(TwinRefused) as denial:
        acme.guest().boot(PATH)
    detail = denial.value.detail
    sentence = detail.partition("(reason ")[0]
    assert "firmware" not in sentence
    assert "200" not in sentence
    reason = detail.partition("(reason ")[2].rstrip(")")
    (decision,) = acme.administration.foresight.why(reason, None, every=False)
    assert "SNP firmware is too old" in decision["row"]["problems"][0]["message"]


def test_secret_without_a_rule_is_denied(bench: Bench) -> None:
    bench.owner("acme", policy=None)
    bench.secret("acme")
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    assert bench.codes() == {"kbs.owner.no-rule"}


def test_rule_for_another_path_does_not_count(bench: Bench) -> None:
    bench.owner("acme", path="acme/other/*")
    bench.secret("acme")
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    assert bench.codes() == {"kbs.owner.no-rule"}


def test_rule_of_somebody_who_is_no_owner_does_not_count(bench: Bench) -> None:
    bench.owner("acme", policy=None)
    bench.owner("mallory")
    bench.secret("acme")
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)


def test_all_owners_must_agree(acme: Bench) -> None:
    acme.owner("clinic", NEWER_FIRMWARE)
    acme.secret("acme", "clinic", path="acme/key/joint")
    guest = acme.guest()
    guest.auth()
    guest.attest()
    with refused(403, "PolicyDeny"):
        guest.resource("acme/key/joint")
    acme.administration.put_rule("test", "clinic", "acme/key/joint", SNP_POLICY)
    with refused(403, "PolicyDeny"):
        guest.resource("acme/key/joint")  # every matching rule of an owner counts, the stricter one too
    acme.administration.put_rule("test", "clinic", "acme/*", SNP_POLICY)
    assert guest.resource("acme/key/joint") == SECRET


def test_owner_whose_rule_is_deleted_or_disabled_refuses(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    (rule,) = acme.administration.rules("acme")
    acme.administration.enable_rule("test", rule.id, False)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    acme.administration.enable_rule("test", rule.id, True)
    assert guest.resource(PATH) == SECRET
    acme.administration.delete_rule("test", rule.id)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)


def test_disabled_owner_refuses(acme: Bench) -> None:
    acme.administration.enable_owner("test", "acme", False)
    with refused(403, "PolicyDeny"):
        acme.guest().boot(PATH)
    assert acme.codes() == {"kbs.owner.disabled"}


def test_tdx_machine_is_denied_by_a_policy_that_speaks_only_of_snp(acme: Bench) -> None:
    with refused(403, "PolicyDeny"):
        acme.guest(cpu="tdx").boot(PATH)
    assert acme.rows("released") == []


def test_warning_that_the_owner_does_not_allow_refuses(acme: Bench) -> None:
    strict = SNP_POLICY.replace("simulated: test, ", "")
    acme.administration.put_rule("test", "acme", "acme/*", strict)
    with refused(403, "PolicyDeny"):
        acme.guest().boot(PATH)


def test_stored_policy_that_no_longer_loads_refuses(acme: Bench) -> None:
    acme.sql("UPDATE rules SET policy = 'policy: 1'")
    with refused(403, "PolicyDeny"):
        acme.guest().boot(PATH)


def test_missing_resource_is_404_only_for_whom_the_path_is_allowed(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    with refused(404, "ResourceNotFound"):
        guest.resource("acme/key/absent")
    with refused(403, "PolicyDeny"):
        guest.resource("other/key/absent")
    denied = acme.guest(gpus=0)
    denied.auth()
    denied.attest()
    with refused(403, "PolicyDeny"):
        denied.resource("acme/key/absent")


def test_denial_can_be_401_as_the_reference_server_sends_it(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> None:
    for bench in make_bench(tmp_path, simulator, endorsements, empty, Settings(deny_status=401)):
        bench.owner("acme", policy=None)
        bench.secret("acme")
        with refused(401, "PolicyDeny"):
            bench.guest().boot(PATH)


# -- one transaction -----------------------------------------------------------------------------------


def test_without_its_audit_row_nothing_is_released(acme: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(AuditRows, "append", broken)
    with refused(500, "InternalError"):
        guest.resource(PATH)
    monkeypatch.undo()
    assert acme.rows("released") == []


@pytest.mark.parametrize(
    "change",
    [
        "key = :thief",
        "expires = expires + 1000",
        "attested = attested - 10",
        "protocol = '0.4.1'",
        "collateral = 'second'",
        "id = :id",
    ],
)
def test_session_row_that_was_changed_in_the_database_does_not_open(acme: Bench, change: str) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    if change.startswith("collateral"):
        acme.collateral.epoch = Epoch("second", acme.collateral.epoch.endorsements)
    thief: dict[str, object] = {"thief": json.dumps(TwinKey.elliptic().jwk)} if ":thief" in change else {}
    if ":id" in change:
        guest.http.cookies.clear()
        guest.http.cookies.set("kbs-session-id", "0" * 64, path="/kbs/v0")
        thief = {"id": hashed("0" * 64)}
    acme.sql(f"UPDATE sessions SET {change}", **thief)
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)


def test_newest_version_is_released(acme: Bench) -> None:
    guest = acme.guest()
    assert guest.boot(PATH) == SECRET
    acme.secret("acme", value=b"rotated")
    assert guest.resource(PATH) == b"rotated"
    assert [row["version"] for row in acme.rows("released")] == [1, 2]


def test_t_initdata_init_data_that_the_hardware_does_not_carry_is_refused(acme: Bench) -> None:
    import hashlib

    body = 'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"aa.toml" = "x"\n'
    init_data = {"init-data": {"format": "toml", "body": body}}
    unbound = acme.guest()
    unbound.auth()
    with refused(401, "AttestationError"):
        unbound.attest(unbound.attestation(**init_data))
    assert acme.codes() == {"kbs.init-data.unbound"}
    bound = acme.guest(host_data=hashlib.sha256(body.encode()).digest())
    bound.auth()
    bound.attest(bound.attestation(**init_data))
    assert bound.resource(PATH) == SECRET


@pytest.mark.parametrize(
    ("cpu", "claim", "field", "size"),
    [("snp", "host-data", "host_data", 32), ("tdx", "mrconfigid", "mrconfigid", 48)],
)
def test_t_factory_the_same_image_with_other_init_data_is_refused(
    bench: Bench, cpu: str, claim: str, field: str, size: int
) -> None:
    """T-INITDATA: what the host launched it with is in the hardware's field, and the policy pins that."""
    import hashlib

    def started(name: str) -> TwinGuest:
        body = f'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"aa.toml" = "{name}"\n'
        carried = hashlib.sha256(body.encode()).digest().ljust(size, b"\0")
        keywords: dict[str, Any] = {field: carried}
        guest = bench.guest(cpu=cpu, **keywords)
        guest.auth()
        guest.attest(guest.attestation(**{"init-data": {"format": "toml", "body": body}}))
        return guest

    ours, policy = started("ours"), {"snp": SNP_POLICY, "tdx": TDX_POLICY}[cpu]
    pinned = sealed(bench)[1].claims[cpu][claim]
    section = "  snp:\n" if cpu == "snp" else "  tdx: {"
    rule = f'    host-data: "{pinned}"\n' if cpu == "snp" else f'mrconfigid: "{pinned}", '
    bench.owner("acme", policy.replace(section, section + rule))
    bench.secret("acme")
    assert ours.resource(PATH) == SECRET
    with refused(403, "PolicyDeny"):
        started("another's").resource(PATH)
    assert bench.codes() == {f"policy.{cpu}.{claim}"}
    with refused(403, "PolicyDeny"):
        bench.guest(cpu=cpu).boot(PATH)
    assert bench.codes() == {f"policy.{cpu}.{claim}"}, "unset matches nothing"
