"""NVIDIA's lists are optional; what a given one says of a manifest's signer counts, while it is in date."""

from __future__ import annotations

from datetime import timedelta

import pytest

from attest.errors import AttestError
from attest.simulator.certificates import CertificatePlan, CrlPlan
from attest.x509 import Crl
from tests.counts import PROOF
from tests.nvidia.conftest import AT, Bench


def listed(bench: Bench, issuer: CertificatePlan, *serials: int, age: int = 1, corrupt: bool = False) -> Crl:
    """A list of `issuer`, `age` days old and good for ten days."""
    made = AT - timedelta(days=age)
    plan = CrlPlan(issuer.subject, issuer.key, made, made + timedelta(days=10), 1, corrupt=corrupt)
    plan.revoked += [(serial, made, None) for serial in serials]
    return Crl(plan.build(bench.keys))


def outcome(bench: Bench, crl: Crl) -> str:
    verified = bench.verify(bench.plan(), crls=(crl,))
    return next(record.outcome for record in verified.checks if record.name == "gpu[0].crl")


def test_a_listed_signer_of_a_manifest_is_refused(bench: Bench) -> None:
    signer, issuer = bench.plan().rims["driver"].chain[:2]
    assert bench.refused(bench.plan(), crls=(listed(bench, issuer, signer.serial),)) == {"x509.revoked"}


def test_a_list_with_a_bad_signature_is_refused(bench: Bench) -> None:
    crl = listed(bench, bench.plan().chain[4], corrupt=True)
    assert bench.refused(bench.plan(), crls=(crl,)) == {"x509.crl.signature"}


def test_a_list_that_is_out_of_date_passes_for_no_check(bench: Bench) -> None:
    root = bench.plan().chain[4]
    assert outcome(bench, listed(bench, root)) == "passed"
    assert outcome(bench, listed(bench, root, age=11)) == "not-run"
    assert outcome(bench, listed(bench, root, age=-1)) == "not-run"


@pytest.mark.parametrize("depth", [2, 4], ids=["of a CA", "of the root"])
def test_every_bit_of_a_list_is_refused_or_the_list_passes_for_no_check(depth: int, bench: Bench) -> None:
    """A list of another issuer's name is another's: it is passed over, and no chain counts as looked up in it."""
    mine = listed(bench, bench.plan().chain[depth])
    assert outcome(bench, mine) == "passed"
    for bit in range(depth, len(mine.der) * 8, 1 if PROOF else 11):
        changed = bytearray(mine.der)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            crl = Crl(bytes(changed))
            found = outcome(bench, crl)
        except AttestError:
            continue
        assert crl.issuer_der != mine.issuer_der, f"bit {bit}"
        assert found == "not-run"
