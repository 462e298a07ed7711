"""M of N keys of an owner agree to one version of a secret under exactly the policies of now (T-COLLUDE)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from attest import Malformed
from attest.canonical import canonical
from attest.dsse import KINDS, Kind, PrivateKey, media_type, seal_envelope
from kbs.consent import ConsentKeys, OwnersConsent, ReleaseConsent, parse, payload_of
from kbs.domain import PathPattern, ResourcePath
from kbs.refusals import Refusal
from kbs.store.tables import rules
from tests.kbs.conftest import NOON, PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.test_release import refused

ANN, BOB = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())
EVE = ed25519.Ed25519PrivateKey.generate()
RESOURCE = ResourcePath.parse(PATH)
LATER = NOON + timedelta(days=30)


def pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass
class Signing:
    """Acme's people: what they sign is put by whoever administers."""

    bench: Bench
    sequence: dict[str, int] = field(default_factory=dict)

    @property
    def broker(self) -> str:
        return self.bench.store.read(lambda tx: tx.broker.state().name)

    def next(self, owner: str) -> int:
        self.sequence[owner] = self.sequence.get(owner, 0) + 1
        return self.sequence[owner]

    def keys(
        self, *keys: PrivateKey, threshold: int = 2, owner: str = "acme", by: Sequence[PrivateKey] = ()
    ) -> None:
        said = ConsentKeys(
            self.broker,
            owner,
            self.next(owner),
            threshold if keys else 0,
            tuple(map(pem, keys)),
            (PathPattern.parse("acme/key/*"),) if keys else (),
        )
        signers = dict.fromkeys((*by, *keys[:threshold])) or (EVE,)
        self.put(seal_envelope("consent", payload_of(said), *signers))

    def release(self, **changes: Any) -> ReleaseConsent:
        now = self.bench.administration.consents.in_force("acme", PATH)
        assert now.version is not None
        said = ReleaseConsent(
            now.broker, "acme", self.next("acme"), RESOURCE, now.version, now.policies, None, None, LATER
        )
        return replace(said, **changes)

    def consent(self, *by: PrivateKey, **changes: Any) -> None:
        self.put(seal_envelope("consent", payload_of(self.release(**changes)), *(by or (ANN, BOB))))

    def put(self, document: bytes) -> None:
        self.bench.administration.consents.put("test", document)


@pytest.fixture
def signing(acme: Bench) -> Signing:
    """Acme wants two of two signatures."""
    made = Signing(acme)
    made.keys(ANN, BOB)
    return made


def denied(bench: Bench) -> set[str]:
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    return bench.codes()


def test_t_collude_nothing_is_released_without_the_consent_of_the_owners_keys(signing: Signing) -> None:
    bench = signing.bench
    assert denied(bench) == {"kbs.consent.missing"}
    signing.consent()
    assert bench.guest().boot(PATH) == SECRET


def test_secrets_that_the_keys_do_not_cover_need_none(signing: Signing) -> None:
    signing.bench.secret("acme", path="acme/config/a")
    assert signing.bench.guest().boot("acme/config/a") == SECRET


@pytest.mark.parametrize("signers", [(ANN,), (BOB,), (ANN, EVE), (EVE,)])
def test_t_collude_fewer_keys_than_the_threshold_are_no_consent(
    signing: Signing, signers: Sequence[PrivateKey]
) -> None:
    with pytest.raises(Refusal):
        signing.consent(*signers)
    assert denied(signing.bench) == {"kbs.consent.missing"}


def test_one_key_that_signs_twice_is_one(signing: Signing) -> None:
    document = json.loads(seal_envelope("consent", payload_of(signing.release()), ANN))
    document["signatures"] *= 2
    with pytest.raises(Refusal, match="Too few keys"):
        signing.put(json.dumps(document).encode())


CHANGES: dict[str, Callable[[ReleaseConsent], Mapping[str, Any]]] = {
    "broker": lambda said: {"broker": "00" * 16},
    "owner": lambda said: {"owner": "other"},
    "path": lambda said: {"path": ResourcePath.parse("acme/key/other")},
    "version": lambda said: {"version": 2},
    "policies": lambda said: {"policies": {"acme": ("sha384:" + "00" * 48,)}},
    "policies of others": lambda said: {"policies": {**said.policies, "other": ()}},
    "no policies": lambda said: {"policies": {"acme": ()}},
    "expires": lambda said: {"expires": NOON - timedelta(seconds=1)},
    "sequence": lambda said: {"sequence": 1},
}


@pytest.mark.parametrize("what", CHANGES)
def test_t_collude_a_consent_to_something_else_is_not_taken(signing: Signing, what: str) -> None:
    signing.bench.administration.add_owner("test", "other")
    said = signing.release()
    with pytest.raises(Refusal):
        signing.put(seal_envelope("consent", payload_of(replace(said, **CHANGES[what](said))), ANN, BOB))
    signing.put(seal_envelope("consent", payload_of(said), ANN, BOB))
    assert signing.bench.guest().boot(PATH) == SECRET


def _mismatch(name: str) -> tuple[str, str]:
    return "kbs.consent.mismatch", f"acme: {name}"


AT_RELEASE: dict[str, tuple[Mapping[str, Any], tuple[str, str]]] = {
    "broker": ({"broker": "00" * 16}, _mismatch("broker")),
    "owner": ({"owner": "other"}, _mismatch("owner")),
    "path": ({"path": ResourcePath.parse("acme/key/other")}, _mismatch("path")),
    "version": ({"version": 2}, _mismatch("version")),
    "policies": ({"policies": {"acme": ("sha384:" + "00" * 48,)}}, _mismatch("policies")),
    "max_releases": ({"max_releases": 1}, ("kbs.terms.count", "acme: consent")),
    "not_before": ({"not_before": NOON + timedelta(seconds=1)}, ("kbs.terms.early", "acme: consent")),
    "expires": ({"expires": NOON - timedelta(seconds=1)}, ("kbs.terms.late", "acme: consent")),
    "sequence": ({"sequence": 3}, ("kbs.consent.sequence", "acme")),
}


@pytest.mark.parametrize("name", [one.name for one in fields(ReleaseConsent)])
def test_t_collude_every_signed_word_counts_again_at_release(signing: Signing, name: str) -> None:
    """Changed where only the database is written, and signed as it must be: what refuses is that word and no other."""
    bench = signing.bench
    change, (code, where) = AT_RELEASE[name]
    said = signing.release()
    for document, released in ((said, True), (replace(said, **change), False)):
        signed = seal_envelope("consent", payload_of(document), ANN, BOB)
        bench.store.write(lambda tx, signed=signed: tx.consents.put("acme", RESOURCE, said.sequence, signed))  # type: ignore[misc]
        if released:
            assert bench.guest().boot(PATH) == SECRET
    denied(bench)
    (found,) = bench.rows("release-denied")[-1]["problems"]
    assert (found["code"], found["where"]) == (code, where)
    assert None not in (found["expected"], found["found"])
    assert found["expected"] != found["found"]


def test_t_sigtype_a_document_of_another_act_in_its_place_releases_nothing(signing: Signing) -> None:
    said = OwnersConsent(signing.broker, "acme", signing.next("acme"), RESOURCE, ("acme",))
    signed = seal_envelope("consent", payload_of(said), ANN, BOB)
    signing.bench.store.write(lambda tx: tx.consents.put("acme", RESOURCE, said.sequence, signed))
    denied(signing.bench)
    (found,) = signing.bench.rows("release-denied")[-1]["problems"]
    assert (found["code"], found["expected"], found["found"]) == ("kbs.consent.mismatch", "release", "owners")


def test_a_consent_of_before_the_keys_does_not_come_back_with_the_database(signing: Signing) -> None:
    said = signing.release()
    old = seal_envelope("consent", payload_of(said), ANN, BOB)
    signing.put(old)
    signing.keys(ANN, BOB, threshold=1, by=(ANN, BOB))
    signing.bench.store.write(lambda tx: tx.consents.put("acme", RESOURCE, said.sequence, old))
    assert denied(signing.bench) == {"kbs.consent.sequence"}
    signing.consent()
    assert signing.bench.guest().boot(PATH) == SECRET


def test_t_collude_the_signatures_are_verified_again_at_release(signing: Signing) -> None:
    signing.consent()
    ((document,),) = signing.bench.sql("SELECT document FROM consents")
    envelope = json.loads(bytes(document))
    for change in ("payload", "signature", "signer"):
        changed = json.loads(json.dumps(envelope))
        if change == "payload":
            payload = json.loads(base64.b64decode(envelope["payload"]))
            changed["payload"] = base64.b64encode(canonical({**payload, "max-releases": "9"})).decode()
        elif change == "signature":
            changed["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
        else:
            changed["signatures"].pop()
        raw = json.dumps(changed).encode()
        signing.bench.store.write(lambda tx, raw=raw: tx.consents.put("acme", RESOURCE, 9, raw))  # type: ignore[misc]
        assert denied(signing.bench) <= {"dsse.signature", "kbs.consent.threshold"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "consent"])
def test_t_sigtype_a_document_of_another_kind_is_no_consent(signing: Signing, kind: Kind) -> None:
    with pytest.raises(Refusal):
        signing.put(seal_envelope(kind, payload_of(signing.release()), ANN, BOB))
    document = json.loads(seal_envelope(kind, payload_of(signing.release()), ANN, BOB))
    document["payloadType"] = media_type("consent")
    with pytest.raises(Refusal):
        signing.put(json.dumps(document).encode())


def test_t_sigtype_agreement_to_one_act_is_none_to_another(signing: Signing) -> None:
    said = OwnersConsent(signing.broker, "acme", signing.next("acme"), RESOURCE, ("acme",))
    with pytest.raises(Refusal, match="secret owners"):
        signing.put(seal_envelope("consent", payload_of(said), ANN, BOB))


_LOOSER = update(rules).values(policy=SNP_POLICY.replace("snp: 20", "snp: 19"))
_BROKEN = update(rules).values(policy="no policy")

VOIDING: dict[str, Callable[[Bench], object]] = {
    "a policy is changed": lambda bench: bench.administration.put_rule(
        "test", "acme", "acme/*", SNP_POLICY.replace("snp: 20", "snp: 19")
    ),
    "a policy is added": lambda bench: bench.administration.put_rule(
        "test", "acme", "acme/key/*", SNP_POLICY
    ),
    "another version is put": lambda bench: bench.administration.put_secret("test", PATH, ["acme"], SECRET),
}


@pytest.mark.parametrize("what", VOIDING)
def test_t_toctou_whatever_changes_voids_the_consent_at_the_next_request(signing: Signing, what: str) -> None:
    signing.consent()
    guest = signing.bench.guest()
    guest.boot(PATH)
    VOIDING[what](signing.bench)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    assert signing.bench.codes() == {"kbs.consent.mismatch"}
    signing.consent()
    guest.resource(PATH)


def test_t_toctou_the_policy_that_is_asked_is_the_one_that_was_consented_to(signing: Signing) -> None:
    """A policy may come to say something else under the digest it was put with: another release of the broker reads it
    otherwise, or somebody writes the database."""
    bench = signing.bench
    signing.consent()
    bench.store.write(lambda tx: tx.registry._connection.execute(_LOOSER))
    assert denied(bench) == {"kbs.consent.mismatch"}
    (listed,) = bench.administration.consents.consents()
    assert "acme: policies" in listed[2][0]
    signing.consent()
    assert bench.guest().boot(PATH) == SECRET


def test_a_policy_that_does_not_load_any_more_is_said_and_not_consented_to(signing: Signing) -> None:
    bench = signing.bench
    said = signing.release()
    signing.consent()
    bench.store.write(lambda tx: tx.registry._connection.execute(_BROKEN))
    (listed,) = bench.administration.consents.consents()
    assert "acme:acme/*" in listed[2][0]
    for ask in (
        signing.release,
        lambda: signing.put(
            seal_envelope("consent", payload_of(replace(said, sequence=signing.next("acme"))), ANN, BOB)
        ),
    ):
        with pytest.raises(Refusal) as refusal:
            ask()
        assert refusal.value.status == 400


def test_a_policy_that_is_disabled_voids_it(signing: Signing) -> None:
    other = SNP_POLICY.replace("snp: 20", "snp: 19")
    rule = signing.bench.administration.put_rule("test", "acme", "acme/key/*", other)
    signing.consent()
    signing.bench.guest().boot(PATH)
    signing.bench.administration.enable_rule("test", rule.id, False)
    assert denied(signing.bench) == {"kbs.consent.mismatch"}


def test_a_policy_of_another_owner_voids_it_too(acme: Bench) -> None:
    acme.owner("other", path="acme/*")
    acme.administration.put_secret("test", "acme/key/both", ["acme", "other"], SECRET)
    signing = Signing(acme)
    signing.keys(ANN, BOB)
    now = acme.administration.consents.in_force("acme", "acme/key/both")
    assert set(now.policies) == {"acme", "other"}
    said = ReleaseConsent(
        now.broker,
        "acme",
        signing.next("acme"),
        ResourcePath.parse("acme/key/both"),
        1,
        now.policies,
        None,
        None,
        LATER,
    )
    signing.put(seal_envelope("consent", payload_of(said), ANN, BOB))
    guest = acme.guest()
    guest.boot("acme/key/both")
    acme.administration.put_rule("test", "other", "acme/*", SNP_POLICY.replace("snp: 20", "snp: 19"))
    with refused(403, "PolicyDeny"):
        guest.resource("acme/key/both")
    assert acme.codes() == {"kbs.consent.mismatch"}


def test_counts_and_dates_of_a_consent_bind_beside_those_of_the_version(signing: Signing) -> None:
    bench = signing.bench
    signing.consent(max_releases=1, not_before=NOON + timedelta(seconds=10))
    assert denied(bench) == {"kbs.terms.early"}
    bench.clock.pass_seconds(10)
    guest = bench.guest()
    guest.boot(PATH)
    assert guest.resource(PATH) == SECRET, "a repeat is not counted"
    assert denied(bench) == {"kbs.terms.count"}
    signing.consent(max_releases=2)
    bench.guest().boot(PATH)
    bench.guest().boot(PATH)
    assert denied(bench) == {"kbs.terms.count"}
    signing.consent(expires=bench.clock.now + timedelta(seconds=5))
    bench.guest().boot(PATH)
    bench.clock.pass_seconds(6)
    assert denied(bench) == {"kbs.terms.late"}
    (listed,) = bench.administration.consents.consents()
    assert listed[1].given == 1
    assert "not released any more" in listed[2][0]


def test_a_withdrawal_is_in_force_at_the_next_request_and_what_was_withdrawn_does_not_come_back(
    signing: Signing,
) -> None:
    said = signing.release()
    document = seal_envelope("consent", payload_of(said), ANN, BOB)
    signing.put(document)
    guest = signing.bench.guest()
    guest.boot(PATH)
    signing.bench.administration.consents.withdraw("test", "acme", PATH)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    assert signing.bench.codes() == {"kbs.consent.missing"}
    with pytest.raises(Refusal, match="was used, or a higher one"):
        signing.put(document)
    with pytest.raises(Refusal, match="has given no consent"):
        signing.bench.administration.consents.withdraw("test", "acme", PATH)


def test_a_consent_that_nothing_needs_is_not_taken_and_uses_no_sequence(signing: Signing) -> None:
    bench = signing.bench
    bench.secret("acme", path="acme/config/a")
    bench.administration.add_owner("test", "other")
    said = signing.release(path=ResourcePath.parse("acme/config/a"))
    with pytest.raises(Refusal, match="has no consent keys for acme/config/a"):
        signing.put(seal_envelope("consent", payload_of(said), ANN, BOB))
    stranger = replace(said, owner="other", path=RESOURCE)
    with pytest.raises(Refusal, match="has no consent keys"):
        signing.put(seal_envelope("consent", payload_of(stranger), EVE))
    with pytest.raises(Refusal, match="other has no consent keys"):
        signing.keys(owner="other")
    assert bench.administration.consents.in_force("other", None).sequence == 1
    signing.keys(EVE, threshold=1, owner="other")
    with pytest.raises(Refusal, match="other owns no secret"):
        signing.put(seal_envelope("consent", payload_of(replace(stranger, sequence=9)), EVE))
    assert bench.administration.consents.in_force("acme", PATH).sequence == 2


# -- keys -------------------------------------------------------------------------------------------


def test_t_collude_who_administers_cannot_name_other_keys(signing: Signing) -> None:
    for by in ((), (ANN,), (EVE,)):
        with pytest.raises(Refusal):
            signing.keys(EVE, threshold=1, by=by)
    signing.keys(EVE, threshold=1, by=(ANN, BOB))
    signing.consent(EVE)
    assert signing.bench.guest().boot(PATH) == SECRET


def test_other_keys_end_what_was_consented_to_under_those_before(signing: Signing) -> None:
    signing.consent()
    signing.keys(ANN, BOB, threshold=1, by=(ANN, BOB))
    assert denied(signing.bench) == {"kbs.consent.missing"}


def test_a_key_that_nobody_holds_is_not_named(acme: Bench) -> None:
    signing = Signing(acme)
    said = ConsentKeys(signing.broker, "acme", 1, 1, (pem(ANN),), (PathPattern.parse("acme/*"),))
    with pytest.raises(Refusal):
        signing.put(seal_envelope("consent", payload_of(said), EVE))


def test_keys_are_given_up_by_the_keys(signing: Signing) -> None:
    with pytest.raises(Refusal):
        signing.keys(by=(ANN,))
    signing.keys(by=(ANN, BOB))
    assert signing.bench.guest().boot(PATH) == SECRET


def test_keys_for_another_broker_or_of_an_old_sequence_are_not_taken(signing: Signing) -> None:
    said = ConsentKeys(signing.broker, "acme", 5, 1, (pem(EVE),), (PathPattern.parse("acme/*"),))
    for changes in ({"broker": "00" * 16}, {"sequence": 1}):
        with pytest.raises(Refusal):
            signing.put(seal_envelope("consent", payload_of(replace(said, **changes)), ANN, BOB, EVE))


# -- owners -----------------------------------------------------------------------------------------


def test_t_vacuous_owner_leaving_needs_everybodys_consent(acme: Bench) -> None:
    acme.owner("other", path="acme/*")
    acme.administration.put_secret("test", "acme/key/both", ["acme", "other"], SECRET)
    path = ResourcePath.parse("acme/key/both")
    signing = Signing(acme)
    change = acme.administration.consents.change_owners

    def agreement(owner: str, *keys: PrivateKey, to: tuple[str, ...] = ("acme",)) -> bytes:
        said = OwnersConsent(signing.broker, owner, signing.next(owner), path, to)
        return seal_envelope("consent", payload_of(said), *keys)

    with pytest.raises(Refusal, match="acme has no consent keys"):
        change("test", str(path), ["acme"], [agreement("acme", ANN), agreement("other", EVE)])
    signing.sequence.clear()
    signing.keys(ANN, BOB)
    signing.keys(EVE, threshold=1, owner="other")
    with pytest.raises(Refusal, match="consent of other is missing"):
        change("test", str(path), ["acme"], [agreement("acme", ANN, BOB)])
    for wrong in (
        [agreement("acme", ANN), agreement("other", EVE)],
        [agreement("acme", ANN, BOB), agreement("other", ANN)],
        [agreement("acme", ANN, BOB), agreement("other", EVE, to=("other",))],
    ):
        with pytest.raises(Refusal):
            change("test", str(path), ["acme"], wrong)
    assert acme.rows("owners-changed") == []
    assert change("test", str(path), ["acme"], [agreement("acme", ANN, BOB), agreement("other", EVE)]) == (
        path,
        2,
    )
    signing.keys(by=(ANN, BOB))
    assert acme.guest().boot(str(path)) == SECRET
    (row,) = acme.rows("owners-changed")
    assert (row["before"], row["owners"], row["version"]) == (["acme", "other"], ["acme"], 2)
    assert [one.destroyed for one in acme.administration.versions(str(path))] == [True, False]


def test_t_vacuous_owner_joining_needs_everybodys_consent_too(signing: Signing) -> None:
    signing.bench.owner("other", path="acme/*")
    change = signing.bench.administration.consents.change_owners
    both = ("acme", "other")
    with pytest.raises(Refusal, match="consent of acme is missing"):
        change("test", PATH, both, [])
    said = OwnersConsent(signing.broker, "acme", signing.next("acme"), RESOURCE, both)
    assert change("test", PATH, both, [seal_envelope("consent", payload_of(said), ANN, BOB)]) == (RESOURCE, 2)
    signing.consent()
    assert signing.bench.guest().boot(PATH) == SECRET
    assert {one["owner"] for one in signing.bench.rows("released")[-1]["agreed"]} == set(both)
    with pytest.raises(Refusal, match="other has no consent keys"):
        said = OwnersConsent(signing.broker, "acme", signing.next("acme"), RESOURCE, ("acme",))
        change("test", PATH, ("acme",), [seal_envelope("consent", payload_of(said), ANN, BOB)])


def _agreement(signing: Signing, owners: Sequence[str] = ("acme",), **changes: Any) -> bytes:
    said = OwnersConsent(signing.broker, "acme", signing.next("acme"), RESOURCE, tuple(owners))
    return seal_envelope("consent", payload_of(replace(said, **changes)), ANN, BOB)


def test_an_agreement_to_owners_is_for_one_broker_and_used_once(signing: Signing) -> None:
    signing.bench.administration.add_owner("test", "other")
    change = signing.bench.administration.consents.change_owners
    with pytest.raises(Refusal, match="signed for broker"):
        change("test", PATH, ["acme"], [_agreement(signing, broker="00" * 16)])
    document = _agreement(signing)
    assert change("test", PATH, ["acme"], [document])[1] == 2
    with pytest.raises(Refusal, match="was used, or a higher one"):
        change("test", PATH, ["acme"], [document])


def test_an_owner_that_gave_up_its_keys_cannot_agree(signing: Signing) -> None:
    signing.keys(by=(ANN, BOB))
    with pytest.raises(Refusal, match="acme has no consent keys"):
        signing.bench.administration.consents.change_owners("test", PATH, ["acme"], [_agreement(signing)])


@pytest.mark.parametrize("what", ["deleted", "disabled", "put anew"])
def test_a_secret_that_changes_while_it_is_sealed_for_other_owners_stays_as_it_came_to_be(
    signing: Signing, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    administration, seal = signing.bench.administration, signing.bench.keys.wrap.wrap

    def others_act_first(key: bytes, context: bytes) -> bytes:
        monkeypatch.undo()
        if what == "deleted":
            administration.delete_secret("test", PATH)
        elif what == "disabled":
            administration.enable_version("test", PATH, 1, False)
        else:
            administration.put_secret("test", PATH, ["acme"], SECRET)
        found.append(administration.versions(PATH))
        return seal(key, context)

    found: list[object] = []
    document = _agreement(signing)
    monkeypatch.setattr(signing.bench.keys.wrap, "wrap", others_act_first)
    with pytest.raises(Refusal, match="changed meanwhile"):
        administration.consents.change_owners("test", PATH, ["acme"], [document])
    assert signing.bench.rows("owners-changed") == []
    assert [administration.versions(PATH)] == found


# -- documents --------------------------------------------------------------------------------------

SAID = (
    ReleaseConsent("ab" * 16, "acme", 3, RESOURCE, 2, {"acme": ("sha384:" + "0a" * 48,)}, 5, NOON, LATER),
    ReleaseConsent("ab" * 16, "acme", 3, RESOURCE, 2, {"acme": (), "b": ()}, None, None, LATER),
    ConsentKeys("ab" * 16, "acme", 1, 2, (pem(ANN), pem(BOB)), (PathPattern.parse("acme/*"),)),
    ConsentKeys("ab" * 16, "acme", 1, 0, (), ()),
    OwnersConsent("ab" * 16, "acme", 1, RESOURCE, ("acme", "other")),
)


@pytest.mark.parametrize("said", SAID)
def test_what_is_signed_is_read_as_it_was_written(said: Any) -> None:
    assert parse(payload_of(said)) == said


@pytest.mark.parametrize("said", SAID)
def test_every_member_is_needed_in_its_one_form_and_no_other_rides_along(said: Any) -> None:
    document = json.loads(payload_of(said))
    for name in document:
        others: tuple[Any, ...] = ("x", 5, None, [], {}, [1], True, "-1", "01")
        for value in others:
            if document[name] == value or (name in ("max-releases", "not-before") and value is None):
                continue
            if name in ("keys", "paths", "policies") and value in ([], {}):
                continue  # asked below
            if name == "owner" and value in ("x", "01"):
                continue
            with pytest.raises(Malformed):
                parse(canonical({**document, name: value}))
        with pytest.raises(Malformed):
            parse(canonical({key: value for key, value in document.items() if key != name}))
    with pytest.raises(Malformed):
        parse(canonical({**document, "more": "x"}))


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        (SAID[0], {"policies": {}}),
        (SAID[0], {"policies": {"acme": ["sha384:" + "0b" * 48, "sha384:" + "0a" * 48]}}),
        (SAID[0], {"policies": {"A b": []}}),
        (SAID[0], {"not-before": "2041-01-01T00:00:00Z", "expires": "2040-01-01T00:00:00Z"}),
        (SAID[2], {"threshold": "3"}),
        (SAID[2], {"threshold": "0"}),
        (SAID[2], {"paths": []}),
        (SAID[2], {"keys": []}),
        (SAID[2], {"keys": [pem(ANN), pem(ANN)]}),
        (SAID[3], {"threshold": "1"}),
        (SAID[3], {"paths": ["acme/*"]}),
        (SAID[4], {"owners": ["other", "acme"]}),
        (SAID[4], {"owners": ["acme", "acme"]}),
        (SAID[4], {"owners": ["A b"]}),
    ],
)
def test_members_that_contradict_each_other_are_refused(said: Any, changes: Mapping[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse(canonical({**json.loads(payload_of(said)), **changes}))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_consent_or_a_typed_error(payload: bytes) -> None:
    with pytest.raises(Malformed):
        parse(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(SAID), st.data())
def test_any_member_of_any_value_is_read_or_a_typed_error(said: Any, data: st.DataObject) -> None:
    document = json.loads(payload_of(said))
    name = data.draw(st.sampled_from(sorted(document)))
    try:
        found = parse(canonical({**document, name: data.draw(JSON)}))
    except Malformed:
        return
    assert parse(payload_of(found)) == found
