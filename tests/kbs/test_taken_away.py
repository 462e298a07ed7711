"""Of what is taken away at one replica while another releases: the trail has one order, on both databases."""

from __future__ import annotations

from attest.dsse import seal_envelope
from kbs.consent import payload_of
from tests.kbs.conftest import ADMINISTRATOR, PATH, SECRET, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.racing import releasing
from tests.kbs.test_consent import ANN, BOB, Signing
from tests.kbs.test_consent import signing as signing  # a fixture
from tests.kbs.test_release import refused


def test_a_race_of_revoking_and_releasing_at_two_replicas_has_one_order(acme: Bench) -> None:
    """T-TOCTOU: whatever was released stands before the revocation in the trail, and nothing after it."""
    with releasing(acme) as other:
        for _ in range(3):
            made = other.stops.revoke(ADMINISTRATOR, "secret", PATH, "for a test")
            other.stops.lift(ADMINISTRATOR, made.number)
        other.stops.revoke(ADMINISTRATOR, "secret", PATH, "for a test")
    revoked = False
    for row in acme.rows():
        if row["event"] in ("revoked", "revocation-lifted"):
            revoked = row["event"] == "revoked"
        assert not (revoked and row["event"] in ("released", "repeat"))
    assert revoked


def test_a_race_of_withdrawing_and_releasing_at_two_replicas_has_one_order(signing: Signing) -> None:
    """Whatever was released stands before the withdrawal in the trail, and nothing after it."""
    bench = signing.bench
    signing.consent()
    with releasing(bench) as other:
        for _ in range(3):
            other.consents.withdraw("test", "acme", PATH)
            other.consents.put("test", seal_envelope("consent", payload_of(signing.release()), ANN, BOB))
        other.consents.withdraw("test", "acme", PATH)
    given = True
    for row in bench.rows():
        if row["event"] in ("consent-put", "consent-withdrawn"):
            given = row["event"] == "consent-put"
        assert given or row["event"] not in ("released", "repeat")
    assert not given


def test_consents_terms_stops_and_overlaps_hold_on_both_databases(signing: Signing) -> None:
    """Once through all of them: what each does alone is asked elsewhere, on one."""
    bench = signing.bench
    signing.consent(max_releases=1)
    guest = bench.guest()
    assert guest.boot(PATH) == SECRET
    assert guest.resource(PATH) == SECRET
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    assert bench.codes() == {"kbs.terms.count"}
    bench.administration.put_secret("test", PATH, ["acme"], b"rotated", overlap_seconds=60)
    signing.consent()
    assert bench.guest().boot(PATH) == b"rotated"
    bench.administration.stops.stop(ADMINISTRATOR, "acme", "x")
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    bench.administration.stops.lift_stop(ADMINISTRATOR, "acme")
    made = bench.administration.stops.revoke(ADMINISTRATOR, "version", f"{PATH}@2", "x")
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    bench.administration.stops.lift(ADMINISTRATOR, made.number)
    bench.administration.enable_version("test", PATH, 2, False)
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    bench.administration.destroy_version("test", PATH, 2)
    with refused(404, "ResourceNotFound"):
        bench.guest().boot(PATH)
