"""The published description against the routes: each answer has its form, and requests made from it find no fault."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from attest.dsse import seal_envelope
from kbs.access import DOORS
from kbs.consent import OwnersConsent, payload_of
from kbs.http.admin import PREFIX
from kbs.http.answers import ANSWERS
from kbs.http.app import create_app
from kbs.http.description import describe
from kbs.readiness import Readiness
from tests.counts import PROOF, tenth
from tests.kbs.conftest import PATH, Bench
from tests.kbs.test_access import filled, request_for, two  # noqa: F401  # a fixture
from tests.kbs.test_consent import ANN, BOB, RESOURCE, Signing, signing  # noqa: F401  # a fixture

REQUESTS = tenth(70)
"""For each operation."""
_LAST = (("DELETE", "/owners/{name}"), ("DELETE", "/secrets/{repository}/{kind}/{tag}"))


@pytest.fixture
def whole(two: Bench) -> Bench:  # noqa: F811
    """With all of its doors."""
    readiness = Readiness(two.store, two.keys.wrap, two.collateral, two.broker._clock)
    two.app = create_app(two.broker, two.administration, two.store, readiness)
    two.guest().boot(PATH)
    return two


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in describe()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_of_administration_is_described_with_its_answer() -> None:
    described = {
        (method, path.removeprefix(PREFIX)) for method, path, _ in operations() if path.startswith(PREFIX)
    }
    assert described == set(DOORS) == set(ANSWERS)


def test_what_is_granted_is_answered_as_described(whole: Bench) -> None:
    """Every route with a request that it takes: an answer with a member more or less is not the one described."""
    granted = set()
    declared = {(method, path): operation["responses"] for method, path, operation in operations()}
    doors = sorted(DOORS, key=lambda door: (door[0] == "DELETE", door in _LAST))
    requests = [
        (*door, filled(door[1], whole, "other"), request_for(*door, whole, "other")) for door in doors
    ]
    for method, template, path, request in requests:
        answer = whole.admin(method, path, **request)
        assert str(answer.status_code) in declared[method, PREFIX + template], (method, template, answer.text)
        if answer.is_success:
            granted.add((method, template))
    # Those that need more are asked in their own tests, and `Bench.admin` holds each answer to its form there.
    assert set(DOORS) - granted == {
        ("DELETE", "/approvals/{digest}"),
        ("DELETE", "/principals/{name}"),
        ("GET", "/evidence/{session}"),
        ("GET", "/why/{what}"),
        ("POST", "/approvals/{digest}"),
        ("POST", "/consents/owners"),
        ("POST", "/consents/withdraw"),
        ("POST", "/keys/retire"),
        ("POST", "/principals/{name}/rotate"),
    }


def test_consents_are_answered_as_described(signing: Signing) -> None:  # noqa: F811
    signing.consent(max_releases=2)
    bench = signing.bench
    bench.guest().boot(PATH)
    assert bench.admin("GET", "consents").json()[0]["given"] == 1
    assert bench.admin("GET", f"consents/in-force?owner=acme&path={PATH}").is_success
    said = OwnersConsent(signing.broker, "acme", signing.next("acme"), RESOURCE, ("acme",))
    document = base64.b64encode(seal_envelope("consent", payload_of(said), ANN, BOB)).decode()
    body = {"path": PATH, "owners": ["acme"], "documents": [document]}
    assert bench.admin("POST", "consents/owners", json=body).is_success
    assert bench.admin("POST", "consents/withdraw", json={"owner": "acme", "path": PATH}).is_success


def test_requests_made_from_the_description_find_no_fault(whole: Bench) -> None:
    """Right ones and wrong ones: no 500, no status, type or body that is not declared."""
    schema = schemathesis.openapi.from_dict(describe())
    schema.app = whole.app
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
    sent = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        made = result.ok()

        @settings(
            max_examples=REQUESTS,
            deadline=None,
            database=None,
            derandomize=not PROOF,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(made.as_strategy())
        def send(case: schemathesis.Case[Any]) -> None:
            nonlocal sent
            sent += 1
            answer = case.call(headers={"authorization": f"Bearer {whole.admin_key}"})
            case.validate_response(answer, checks=checks)

        send()
    assert sent > 4 * len(DOORS)


def test_a_fault_would_be_found(whole: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole.administration, "owners", lambda: 1 / 0)
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        test_requests_made_from_the_description_find_no_fault(whole)


def test_the_description_is_openapi() -> None:
    document = describe()
    assert document["openapi"].startswith("3.1")
    references = {part.split('"')[0] for part in json.dumps(document).split('"$ref": "#/')[1:]}
    for reference in references:
        place: Any = document
        for step in reference.split("/"):
            place = place[step]
    assert len(references) > 40
