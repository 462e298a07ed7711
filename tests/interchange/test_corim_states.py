"""States as rules: a policy passes exactly the machines that are in one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cbor2 import CBORTag
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.policy import Policy, appraise
from attest.policy.interchange.corim import read_corim, states
from attest.policy.interchange.draft import Draft, write
from tests.interchange.corim_maker import AT, VLEK, corim, environment, measured, seconds, triple
from tests.policy.conftest import NOW, SNP, tree, verified_of

A, B, C = (bytes([number]) * 48 for number in (0xA1, 0xB1, 0xC1))


def draft_of(*triples: list[Any]) -> Draft:
    return read_corim(corim(*triples), at=AT)


def launch(value: bytes, *more: dict[int, Any]) -> list[Any]:
    return triple(environment(), measured(641, digest=value), *more)


def svn(number: int) -> dict[int, Any]:
    return measured(1, svn=CBORTag(553, number))


def values(draft: Draft) -> dict[str, list[str]]:
    return {one.name: [value for value, _ in one.values] for one in draft.references}


def test_values_of_states_that_differ_in_one_claim_are_one_set() -> None:
    draft = draft_of(launch(A, svn(3)), launch(B, svn(3)), launch(C, svn(3)))
    assert values(draft) == {"measurement": [A.hex(), B.hex(), C.hex()]}
    assert {one.claim: one.operand for one in draft.entries} == {
        "signing-key": "vcek",
        "guest-svn": "{at-least: 3}",
        "measurement": "{in: measurement}",
    }
    assert not draft.choices
    first = "corim.tags[0].triples.reference-triples[0]"
    assert draft.entries[-1].said == f"{first} and 2 more"
    assert draft_of(launch(A)).entries[-1].said == first


def test_the_same_state_twice_is_one() -> None:
    draft = draft_of(launch(A), launch(A))
    assert values(draft) == {"measurement": [A.hex()]}
    Policy.from_text(write(draft, name="a"))


def test_what_belongs_together_stays_together() -> None:
    draft = draft_of(launch(A, svn(3)), launch(B, svn(4)), launch(C, svn(4)))
    assert values(draft) == {"measurement": [A.hex(), B.hex(), C.hex()]}
    (choice,) = draft.choices
    assert [{one.claim: one.operand for one in branch} for branch in choice.branches] == [
        {"guest-svn": "{at-least: 3}", "measurement": f'"{A.hex()}"'},
        {"guest-svn": "{at-least: 4}", "measurement": f'{{one-of: ["{B.hex()}", "{C.hex()}"]}}'},
    ]


def test_a_state_that_asks_for_less_leaves_no_choice() -> None:
    draft = draft_of(triple(environment(), svn(3)), triple(environment(), svn(3), measured(5, range=0)))
    assert not draft.choices
    assert {one.claim for one in draft.entries} == {"signing-key", "guest-svn"}


def test_too_many_states_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MAX_BRANCHES", 2)
    ones = [launch(bytes([n]) * 48, svn(n)) for n in (1, 2, 3)]
    assert draft_of(*ones[:2]).choices
    draft = draft_of(*ones)
    assert not draft.choices
    assert [one.what for one in draft.unmapped] == ["3 states that differ in several claims"]


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MAX_REFERENCES", 2)
    assert draft_of(launch(A), launch(B))
    with pytest.raises(Malformed) as refused:
        draft_of(launch(A), launch(B), launch(C))
    assert refused.value.codes == {"corim.malformed"}


def test_values_that_cannot_end_with_the_corim_are_said_to_be_without_end() -> None:
    """Of states that name no common register a choice is all there is, and a choice has no dates."""
    until = {0: seconds(2026), 1: seconds(2027)}
    apart = [launch(A), triple(environment(VLEK), measured(642, raw=b"\x11" * 32))]
    draft = read_corim(corim(*apart, validity=until), at=AT)
    assert draft.choices
    assert not draft.entries
    assert [one.path for one in draft.unmapped] == ["corim.rim-validity"]


MEASUREMENTS, HOSTS, LEVELS = (A, B), (b"\x01" * 32, b"\x02" * 32), (2, 3, 4)
MACHINES = [(m, host, level) for m in MEASUREMENTS for host in HOSTS for level in LEVELS]
ONE_STATE = st.tuples(
    st.sampled_from([None, *MEASUREMENTS]), st.sampled_from([None, *HOSTS]), st.sampled_from([None, 3, 4])
).filter(any)


def fits(state: tuple[Any, Any, Any], machine: tuple[bytes, bytes, int]) -> bool:
    measurement, host, level = state
    return (
        measurement in (None, machine[0])
        and host in (None, machine[1])
        and (level is None or machine[2] >= level)
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE_STATE, min_size=1, max_size=5))
def test_a_policy_passes_exactly_the_machines_of_its_states(found: list[tuple[Any, Any, Any]]) -> None:
    """Against the sentence of the draft itself: a machine matches one of the states."""
    triples = []
    for measurement, host, level in found:
        parts = [measured(641, digest=measurement)] if measurement else []
        parts += [measured(642, digest=host)] if host else []
        parts += [svn(level)] if level else []
        triples.append(triple(environment(), *parts))
    draft = draft_of(*triples)
    assert not draft.unmapped
    policy = Policy.from_text(write(draft, name="a"))
    for machine in MACHINES:
        claims = {
            **SNP,
            "measurement": machine[0].hex(),
            "host-data": machine[1].hex(),
            "guest-svn": str(machine[2]),
        }
        judged = appraise(verified_of(tree(snp=claims)), policy, at=NOW + timedelta(seconds=1))
        passed = judged.verdict in ("conforms", "conforms-with-warnings")
        assert passed == any(fits(state, machine) for state in found), machine
