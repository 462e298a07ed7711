"""How often, when and for how long a version is released, besides what policies say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.claims import instant
from kbs.domain import ResourcePath
from kbs.keys import KeyStoreError
from kbs.keys.envelope import open_envelope
from kbs.lease import Lease
from kbs.store.repository import Repository
from kbs.terms import MOST, Count, InvalidTerms, Terms
from tests.kbs.conftest import NOON, PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.test_release import refused

SECOND = timedelta(seconds=1)


def put(bench: Bench, **terms: Any) -> None:
    bench.administration.put_secret("test", PATH, ["acme"], SECRET, Terms(**terms))


def denied(bench: Bench) -> set[str]:
    with refused(403, "PolicyDeny"):
        bench.guest().boot(PATH)
    return bench.codes()


def test_a_secret_that_is_given_once_is_given_once_and_its_answer_can_be_had_again(acme: Bench) -> None:
    put(acme, max_releases=1)
    guest = acme.guest()
    assert guest.boot(PATH) == SECRET
    assert guest.resource(PATH) == SECRET, "a lost answer"
    assert denied(acme) == {"kbs.terms.count"}
    assert [
        row["event"] for row in acme.rows() if row["event"] in ("released", "repeat", "release-denied")
    ] == [
        "released",
        "repeat",
        "release-denied",
    ]


def test_a_count_counts_releases_and_starts_anew_with_a_version(acme: Bench) -> None:
    put(acme, max_releases=2)
    acme.guest().boot(PATH)
    acme.guest().boot(PATH)
    assert denied(acme) == {"kbs.terms.count"}
    put(acme, max_releases=1)
    acme.guest().boot(PATH)
    assert denied(acme) == {"kbs.terms.count"}
    (old, first, second) = acme.administration.versions(PATH)
    assert [one.given for one in (old, first, second)] == [0, 2, 1]


def test_dates_bound_a_release_from_both_sides(acme: Bench) -> None:
    start, end = NOON + timedelta(seconds=60), NOON + timedelta(seconds=120)
    put(acme, not_before=start, not_after=end)
    assert denied(acme) == {"kbs.terms.early"}
    for at in (start, end):
        acme.clock.now = at
        assert acme.guest().boot(PATH) == SECRET
    acme.clock.now = end + SECOND
    assert denied(acme) == {"kbs.terms.late"}


def test_dates_end_a_repeat_too(acme: Bench) -> None:
    put(acme, not_after=NOON + SECOND)
    guest = acme.guest()
    guest.boot(PATH)
    acme.clock.pass_seconds(2)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)


def test_a_time_box_begins_with_the_first_release(acme: Bench) -> None:
    put(acme, seconds_from_first=60)
    acme.clock.pass_seconds(3600)
    acme.guest().boot(PATH)
    acme.clock.pass_seconds(60)
    acme.guest().boot(PATH)
    acme.clock.pass_seconds(1)
    assert denied(acme) == {"kbs.terms.box"}


def test_t_confused_the_guest_is_not_told_which_term(acme: Bench) -> None:
    put(acme, max_releases=1)
    acme.guest().boot(PATH)
    guest = acme.guest()
    guest.auth()
    guest.attest()
    answer = guest.http.get(f"/kbs/v0/resource/{PATH}").json()["detail"]
    assert "policies do not release" in answer
    assert "1" not in answer.partition("(reason")[0]


@pytest.mark.parametrize("change", ["{}", '{"max-releases":5}', '{"lease-seconds":9}'])
def test_t_collude_terms_that_were_widened_in_the_database_do_not_open(acme: Bench, change: str) -> None:
    put(acme, max_releases=1)
    acme.sql("UPDATE secret_versions SET terms = :terms WHERE version = 2", terms=change)
    guest = acme.guest()
    guest.auth()
    guest.attest()
    with refused(500, "InternalError"):
        guest.resource(PATH)
    secret = acme.store.read(lambda tx: tx.registry.current(ResourcePath.parse(PATH)))
    assert secret is not None
    with pytest.raises(KeyStoreError):
        open_envelope(secret, acme.keys.wrap)


def test_a_release_tells_its_row_and_the_end_of_its_lease(acme: Bench) -> None:
    """T-LEASE: what the guest promised, with the number and hash of the row that says so."""
    put(acme, lease_seconds=90)
    guest = acme.guest()
    guest.auth()
    guest.attest()
    answer = guest.http.get(f"/kbs/v0/resource/{PATH}")
    assert answer.headers["kbs-lease-expires"] == instant(NOON + timedelta(seconds=90))
    number, _, digest = answer.headers["kbs-receipt"].partition(":")
    (row,) = [row for row in acme.administration.record.rows(0, 1000) if row.number == int(number)]
    assert row.hash.hex() == digest
    assert row.content["event"] == "released"
    assert row.content["lease"] == instant(NOON + timedelta(seconds=90))
    repeat = guest.http.get(f"/kbs/v0/resource/{PATH}")
    assert repeat.headers["kbs-receipt"] != answer.headers["kbs-receipt"]


def test_t_lease_asking_again_renews_nothing_and_ends_with_the_lease(acme: Bench) -> None:
    put(acme, lease_seconds=60)
    guest = acme.guest()
    guest.boot(PATH)
    ends = NOON + timedelta(seconds=60)
    acme.clock.pass_seconds(59)
    repeat = guest.http.get(f"/kbs/v0/resource/{PATH}")
    assert repeat.headers["kbs-lease-expires"] == instant(ends)
    assert acme.rows("repeat")[-1]["lease"] == instant(ends)
    assert [one.ends for one in acme.administration.stops.leases(10)[1]] == [ends]
    acme.clock.pass_seconds(1)
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)
    assert acme.codes() == {"kbs.lease.ended"}
    assert acme.guest().boot(PATH) == SECRET


def test_t_lease_a_renewal_is_another_attestation(acme: Bench) -> None:
    put(acme, lease_seconds=60)
    guest = acme.guest()
    guest.boot(PATH)
    (lease,) = acme.administration.stops.leases(10)[1]
    assert (lease.given, lease.ends) == (NOON, NOON + timedelta(seconds=60))
    acme.clock.pass_seconds(301)
    assert acme.administration.stops.leases(10)[1] == []
    with refused(401, "TokenNotFound"):
        guest.resource(PATH)
    acme.guest().boot(PATH)
    (renewed,) = acme.administration.stops.leases(10)[1]
    assert renewed.ends == acme.clock.now + timedelta(seconds=60)
    assert renewed.session != lease.session


def test_t_lease_what_ended_without_renewal_is_listed_by_machine(acme: Bench) -> None:
    put(acme, lease_seconds=60)
    stops, rules = acme.administration.stops, acme.administration
    rules.put_rule("test", "acme", "acme/*", SNP_POLICY.replace("  gpu: {count: {at-least: 1}}\n", ""))
    acme.guest(gpus=0).boot(PATH)
    rules.put_rule("test", "acme", "acme/*", SNP_POLICY)
    acme.guest().boot(PATH)
    assert stops.ended_leases(10)[1] == []
    alone, pair = stops.leases(10)[1]
    assert (len(alone.platforms), len(pair.platforms)) == (1, 2), "the chip, and its GPU"
    assert [row["platforms"] for row in acme.rows("attested")] == [
        list(one.platforms) for one in (alone, pair)
    ]
    acme.clock.pass_seconds(60)
    assert stops.leases(10)[1] == []
    assert stops.ended_leases(10)[1] == [pair, alone]
    acme.guest().boot(PATH)
    assert stops.ended_leases(10)[1] == [alone], "the other one came back"
    (renewal,) = stops.leases(10)[1]
    assert (renewal.platforms, renewal.renewed) == (pair.platforms, None)
    acme.clock.pass_seconds(30 * 24 * 3600)
    acme.guest().auth()
    assert [one.audit for one in stops.ended_leases(10)[1]] == [renewal.audit], "older ones are forgotten"


def test_t_lease_a_machine_that_nobody_named_renews_for_nobody(acme: Bench) -> None:
    def lease(audit: int) -> Lease:
        ends = NOON + timedelta(seconds=audit)
        return Lease(audit, bytes(32), ResourcePath.parse(PATH), 1, "k", NOON, ends, ())

    def add(tx: Repository) -> None:
        tx.leases.add(lease(1))
        tx.leases.add(lease(2))

    acme.store.write(add)
    acme.clock.pass_seconds(5)
    assert [one.audit for one in acme.administration.stops.ended_leases(10)[1]] == [2, 1]


COUNTS = st.none() | st.integers(1, MOST)
INSTANTS = st.none() | st.integers(0, 10**9).map(lambda seconds: NOON + timedelta(seconds=seconds))


@given(COUNTS, INSTANTS, INSTANTS, COUNTS, COUNTS)
def test_terms_are_read_as_they_were_written(
    most: int | None, start: datetime | None, end: datetime | None, box: int | None, lease: int | None
) -> None:
    if start and end and start > end:
        with pytest.raises(InvalidTerms):
            Terms(most, start, end, box, lease)
        return
    terms = Terms(most, start, end, box, lease)
    assert Terms.parse(terms.as_dict()) == terms
    found = {one.code for one in terms.against(Count(), NOON)}
    assert ("kbs.terms.early" in found) is bool(start and start > NOON)


@given(
    st.dictionaries(st.text(max_size=20), st.none() | st.booleans() | st.integers() | st.text(max_size=20))
)
def test_any_map_is_terms_or_a_typed_error(document: dict[str, Any]) -> None:
    try:
        terms = Terms.parse(document)
    except InvalidTerms:
        return
    assert terms.as_dict() == document


@pytest.mark.parametrize(
    "document",
    [
        {"max-releases": 0},
        {"max-releases": True},
        {"max-releases": "1"},
        {"max-releases": MOST + 1},
        {"lease-seconds": 0},
        {"not-before": 5},
        {"not-before": "2026-02-30T00:00:00Z"},
        {"max_releases": 1},
    ],
)
def test_terms_of_no_meaning_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidTerms):
        Terms.parse(document)
