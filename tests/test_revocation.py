"""Revocation lists: authentic or not, fresh or not, and what of several lists counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from attest.cache import Cache
from attest.checks import CheckLog
from attest.errors import Rejected
from attest.memory import Memory
from attest.revocation import check_crls
from attest.x509 import Crl
from tests.ca import BORN, DIES, NOON, Authority

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority("root")


@pytest.fixture(scope="module")
def inter(root: Authority) -> Authority:
    return Authority("inter", root, serial=42)


def ask(
    root: Authority, inter: Authority, *crls: Crl, memory: Memory | None = None, cache: Cache | None = None
) -> tuple[str, set[str]]:
    log = CheckLog()
    state, _ = check_crls(
        root.certificate,
        [inter.certificate],
        crls,
        at=NOON,
        check="snp.crl",
        log=log,
        memory=memory,
        cache=cache,
    )
    return state, {problem.code for problem in log.problems}


def test_no_list_is_absent_not_good(root: Authority, inter: Authority) -> None:
    assert ask(root, inter) == ("absent", set())


def test_a_list_of_another_issuer_is_passed_over(root: Authority, inter: Authority) -> None:
    assert ask(root, inter, Authority("elsewhere").crl(42)) == ("absent", set())


def test_fresh_and_stale(root: Authority, inter: Authority) -> None:
    assert ask(root, inter, root.crl()) == ("fresh", set())
    assert ask(root, inter, root.crl(next_update=NOON)) == ("fresh", set())
    assert ask(root, inter, root.crl(next_update=NOON - DAY)) == ("stale", set())
    assert ask(root, inter, root.crl(this_update=NOON + DAY)) == ("stale", set())


def test_t_crl_revoked_is_refused(root: Authority, inter: Authority) -> None:
    assert ask(root, inter, root.crl(42)) == ("revoked", {"x509.revoked"})


def test_t_omit_revoked_in_an_older_or_stale_list_still_refuses(root: Authority, inter: Authority) -> None:
    old = root.crl(42, next_update=BORN + DAY)
    assert ask(root, inter, old, root.crl(this_update=BORN + DAY)) == ("revoked", {"x509.revoked"})


def test_the_newest_list_alone_decides_freshness(root: Authority, inter: Authority) -> None:
    newer_but_stale = root.crl(this_update=BORN + DAY, next_update=NOON - DAY)
    assert ask(root, inter, root.crl(), newer_but_stale) == ("stale", set())


def test_a_list_with_a_bad_signature_refuses(root: Authority, inter: Authority) -> None:
    forged = root.crl(signed_by=Authority("root"))
    cache = Cache()
    for _ in range(2):
        assert ask(root, inter, forged, root.crl(), cache=cache)[1] == {"x509.crl.signature"}


def test_a_partial_list_is_not_the_whole_one(root: Authority, inter: Authority) -> None:
    delta = root.crl(extra=((x509.DeltaCRLIndicator(1), True),))
    assert ask(root, inter, delta) == ("absent", {"x509.critical-extension"})


def test_t_collateral_rollback_a_list_older_than_the_memory_is_a_rollback(
    root: Authority, inter: Authority
) -> None:
    memory = Memory().updated({root.certificate.spki_sha256: BORN + DAY}, {})
    assert ask(root, inter, root.crl(), memory=memory)[1] == {"x509.crl.rollback"}
    assert ask(root, inter, root.crl(this_update=BORN + DAY), memory=memory) == ("fresh", set())


def test_a_lower_number_than_the_memorys_is_a_rollback_where_the_issuer_counts(
    root: Authority, inter: Authority
) -> None:
    """AMD counts its lists; Intel's number is 1 for ever, so there only the date can tell (T-MEMORY)."""
    crl = root.crl(extra=((x509.CRLNumber(4), False),))
    spki = root.certificate.spki_sha256
    for seen, codes in ((4, set()), (5, {"x509.crl.rollback"})):
        memory = Memory().updated({}, {}, {spki: seen})
        for counted in (True, False):
            log = CheckLog()
            check_crls(
                root.certificate,
                [inter.certificate],
                [crl],
                at=NOON,
                check="snp.crl",
                log=log,
                memory=memory,
                counted=counted,
            )
            assert {problem.code for problem in log.problems} == (codes if counted else set())


def test_a_cached_signature_does_not_keep_an_old_answer(root: Authority, inter: Authority) -> None:
    cache = Cache()
    crl = root.crl(next_update=DIES)
    assert ask(root, inter, crl, cache=cache) == ("fresh", set())
    assert ask(root, inter, crl, root.crl(42), cache=cache)[0] == "revoked"
    impostor = Authority("root")
    assert ask(impostor, inter, crl, cache=cache)[1] == {"x509.crl.signature"}


def test_both_ends_belong_to_the_period_of_a_list(root: Authority, inter: Authority) -> None:
    second = timedelta(seconds=1)
    assert ask(root, inter, root.crl(this_update=NOON))[0] == "fresh"
    assert ask(root, inter, root.crl(this_update=NOON + second))[0] == "stale"
    assert ask(root, inter, root.crl(next_update=NOON - second))[0] == "stale"


def test_numbers_are_compared_only_of_issuers_that_count(root: Authority, inter: Authority) -> None:
    """Intel's number is 1 for ever."""
    crl = root.crl(extra=((x509.CRLNumber(1), False),))
    memory = Memory(crl_numbers={root.certificate.spki_sha256.hex(): 2})
    assert ask(root, inter, crl, memory=memory) == ("fresh", set())


def test_t_memory_a_refusal_says_which_list_revoked_and_nothing_dated_ahead(
    root: Authority, inter: Authority
) -> None:
    def seen(*crls: Crl, counted: bool = False) -> Memory | None:
        log = CheckLog()
        check_crls(
            root.certificate, [inter.certificate], crls, at=NOON, check="snp.crl", log=log, counted=counted
        )
        log.failed("snp.signature", "snp.signature.invalid")
        with pytest.raises(Rejected) as refusal:
            log.reject_if_bad()
        return refusal.value.seen

    name = root.certificate.spki_sha256.hex()
    assert seen(root.crl(42, this_update=NOON)) == Memory({name: NOON})
    assert seen(root.crl(42, this_update=NOON - DAY), root.crl(this_update=NOON)) == Memory({name: NOON})
    assert seen(root.crl(42, this_update=NOON, extra=((x509.CRLNumber(7), False),)), counted=True) == Memory(
        {name: NOON}, crl_numbers={name: 7}
    )
    assert seen(root.crl(42, this_update=NOON + DAY)) is None
    assert seen(Authority("root").crl(42)) is None
    assert seen(root.crl(this_update=NOON)) is None
