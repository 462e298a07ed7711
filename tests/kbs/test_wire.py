"""What is not a well-formed request of the protocol: a 4xx that guests can read, and nothing is lost."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbs.broker import Settings
from kbs.store.address import Address
from tests.counts import tenth
from tests.kbs.conftest import PATH, SECRET, Bench, make_bench
from tests.kbs.twin import TwinKey, refusal_of

REQUEST = b'{"version":"0.4.0","tee":"snp","extra-params":""}'


@pytest.mark.parametrize(
    "body",
    [
        REQUEST,
        b'{"version":"0.4.0","tee":"snp"}',
        b'{"version":"0.4.0","tee":"tdx","extra-params":{}}',
        b'{"version":"0.4.0","tee":"tdx","extra-params":{"x":[1]},"other":null}',
    ],
)
def test_request_with_any_extra_params_gets_a_challenge(bench: Bench, body: bytes) -> None:
    answer = bench.http().post("/kbs/v0/auth", content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 200
    assert answer.json()["extra-params"] == ""
    assert len(base64.b64decode(answer.json()["nonce"], validate=True)) == 32


def test_cookie_is_httponly_strict_and_of_the_prefix(bench: Bench) -> None:
    cookie = bench.http().post("/kbs/v0/auth", content=REQUEST).headers["set-cookie"]
    name, *attributes = cookie.split("; ")
    assert len(name.partition("=")[2]) == 64
    assert {"HttpOnly", "Path=/kbs/v0", "SameSite=strict"} <= set(attributes)
    assert "Secure" not in attributes
    from starlette.testclient import TestClient

    secure = TestClient(bench.app, base_url="https://kbs").post("/kbs/v0/auth", content=REQUEST)
    assert "Secure" in secure.headers["set-cookie"].split("; ")


def test_only_the_cookies_hash_is_stored(bench: Bench) -> None:
    http = bench.http()
    http.post("/kbs/v0/auth", content=REQUEST)
    cookie = http.cookies["kbs-session-id"]
    stored = b"".join(file.read_bytes() for file in bench.folder.glob("broker.db*"))
    assert cookie.encode() not in stored
    assert bytes.fromhex(cookie) not in stored


@pytest.mark.parametrize("version", ["0.3.0", "0.2.0", "0.1.0", "0.4.1", "1", ""])
def test_other_version_is_401_with_the_wording_of_the_reference_server(bench: Bench, version: str) -> None:
    body = json.dumps({"version": version, "tee": "snp", "extra-params": ""}).encode()
    refusal = refusal_of(bench.http().post("/kbs/v0/auth", content=body))
    assert refusal.status == 401
    assert refusal.detail == (
        f"KBS Client Protocol Version Mismatch: expect =0.4.0 while the request is {version}"
    )


@pytest.mark.parametrize("tee", ["sample", "sampledevice", "nvidia", "SNP", "AZ-SNP-VTPM", "azure", ""])
def test_other_tee_is_refused_at_once(bench: Bench, tee: str) -> None:
    body = json.dumps({"version": "0.4.0", "tee": tee, "extra-params": ""}).encode()
    assert refusal_of(bench.http().post("/kbs/v0/auth", content=body)).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"0",
        b'"x"',
        b"\xff\xfe",
        b'{"version":1,"tee":"snp"}',
        b'{"version":"0.4.0"}',
        b'{"version":"0.4.0","tee":["snp"]}',
        b'{"version":"0.4.0","tee":"snp","tee":"tdx"}',
        b'{"version":"0.4.0","tee":"snp","extra-params":NaN}',
        b"[" * 60_000,
        b'{"version":"\\ud800","tee":"snp"}',
    ],
)
def test_malformed_request_is_4xx_that_a_guest_can_read(bench: Bench, body: bytes) -> None:
    assert 400 <= refusal_of(bench.http().post("/kbs/v0/auth", content=body)).status < 500


KEY = TwinKey.elliptic().jwk


def message(**changes: Any) -> Any:
    whole: dict[str, Any] = {
        "runtime-data": {"nonce": "n", "tee-pubkey": KEY},
        "tee-evidence": {"primary_evidence": {}, "additional_evidence": ""},
    }
    return whole | changes


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        message(**{"runtime-data": None}),
        message(**{"runtime-data": {"nonce": "n"}}),
        message(**{"runtime-data": {"nonce": 1, "tee-pubkey": KEY}}),
        message(**{"runtime-data": {"nonce": "n", "tee-pubkey": KEY, "more": ""}}),
        message(**{"runtime-data": {"nonce": "\ud800", "tee-pubkey": KEY}}),
        message(**{"runtime-data": {"nonce": "n", "tee-pubkey": KEY | {"n": 1}}}),
        message(**{"runtime-data": {"nonce": "n", "tee-pubkey": KEY | {"key_ops": ["x"]}}}),
        message(**{"tee-evidence": "{}"}),
        message(**{"tee-evidence": {}}),
        message(**{"tee-evidence": {"primary_evidence": {}, "additional_evidence": {}}}),
        message(**{"tee-evidence": {"primary_evidence": {}, "additional_evidence": "\udfff"}}),
        message(**{"init-data": "x"}),
        message(**{"init-data": {"format": "json", "body": "{}"}}),
        message(**{"init-data": {"format": "toml", "body": "a = 1\na = 2"}}),
        message(**{"init-data": {"format": "toml", "body": 'algorithm = "md5"'}}),
    ],
)
def test_malformed_attestation_is_4xx_and_does_not_spend_the_nonce(acme: Bench, body: Any) -> None:
    guest = acme.guest()
    guest.auth()
    refusal = refusal_of(guest.http.post("/kbs/v0/attest", content=json.dumps(body).encode()))
    assert (refusal.status, refusal.kind) == (400, "SerdeError")
    guest.attest()
    assert guest.resource(PATH) == SECRET


def test_attestation_of_millions_of_members_is_refused_before_it_is_read(acme: Bench) -> None:
    import tracemalloc

    guest = acme.guest()
    guest.auth()
    body = b'{"more":[' + b"[]," * 5_000_000 + b"[]]}"
    tracemalloc.start()
    try:
        refusal = refusal_of(guest.http.post("/kbs/v0/attest", content=body))
        assert tracemalloc.get_traced_memory()[1] < 100 << 20  # read, it would be 462 MB
    finally:
        tracemalloc.stop()
    assert (refusal.status, refusal.kind) == (400, "SerdeError")


@pytest.mark.parametrize(
    ("primary", "additional"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"attestation_report": {}}, ""),
        ({"quote": "AAAA"}, ""),
        ({"attestation_report": {"version": 2**70}}, ""),
        ("x" * 100_000, ""),
        ("own", "{"),
        ("own", "{}"),
        ("own", '{"snp":{}}'),
        ("own", '{"nvidia":{"device_evidence_list":[]}}'),
        ("own", '{"nvidia":{},"nvidia":{}}'),
        ("own", '{"nvidia":{"device_evidence_list":[{"arch":"HOPPER","evidence":"AA=="}]}}'),
    ],
)
def test_evidence_that_is_none_is_refused_and_recorded(acme: Bench, primary: Any, additional: str) -> None:
    guest = acme.guest()
    guest.auth()
    own, _ = guest.machine(guest.nonce, guest.key.jwk)
    evidence = {
        "primary_evidence": own if primary == "own" else primary,
        "additional_evidence": additional,
    }
    body = guest.attestation(**{"tee-evidence": evidence})
    refusal = refusal_of(guest.http.post("/kbs/v0/attest", content=body))
    assert (refusal.status, refusal.kind) == (401, "AttestationError")
    assert acme.rows("attest-refused")[-1]["problems"]


def test_attest_without_a_session_is_401(bench: Bench) -> None:
    assert refusal_of(bench.http().post("/kbs/v0/attest", content=b"{}")).status == 401
    forged = bench.http()
    forged.cookies.set("kbs-session-id", "0" * 64, path="/kbs/v0")
    assert refusal_of(forged.post("/kbs/v0/attest", content=b"{}")).status == 401


def test_unauthenticated_resource_is_401_so_that_the_handshake_starts(acme: Bench) -> None:
    refusal = refusal_of(acme.http().get(f"/kbs/v0/resource/{PATH}"))
    assert (refusal.status, refusal.kind) == (401, "TokenNotFound")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/kbs/v0/auth", 405),
        ("PUT", "/kbs/v0/attest", 405),
        ("POST", f"/kbs/v0/resource/{PATH}", 405),
        ("DELETE", f"/kbs/v0/resource/{PATH}", 405),
        ("GET", "/kbs/v0/", 404),
        ("GET", "/kbs/v0/nothing", 404),
        ("POST", "/kbs/v0/resource-policy", 404),
        ("GET", "/kbs/v1/auth", 404),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/kbs/v0/resource/a/b", 404),
        ("GET", "/kbs/v0/resource/a/b/c/d", 404),
        ("GET", "/kbs/v0/resource/a/b/.c", 404),
        ("GET", "/kbs/v0/resource/a/b/", 404),
        ("GET", "/kbs/v0/resource/a/b/c%2fd", 404),
        ("GET", "/kbs/v0/resource/a/%2e%2e/c", 404),
        ("GET", "/kbs/v0/resource/a/b/c%00", 404),
        ("GET", "/%6bbs/v0/resource/a/b/c", 404),
        ("GET", "/kbs/v0/resource/a/b/c\\d", 404),
        ("GET", "/kbs/v0/resource/a/b/ｃ", 404),
        ("OPTIONS", "/kbs/v0/auth", 405),
    ],
)
def test_every_other_answer_has_the_one_shape(acme: Bench, method: str, path: str, status: int) -> None:
    assert refusal_of(acme.http().request(method, path)).status == status


@pytest.mark.parametrize("path", ["/kbs/v0/resource/a/../c", "/kbs/v0//auth", "/kbs/v0/auth/"])
def test_paths_are_never_normalised(acme: Bench, path: str) -> None:
    url = httpx.URL("http://testserver").copy_with(raw_path=path.encode())
    answer = acme.http().request("GET", url)
    assert refusal_of(answer).status in (401, 404)


@pytest.mark.parametrize(
    ("path", "size"), [("auth", (64 << 10) + 1), ("attest", (16 << 20) + 1), ("nothing", (64 << 10) + 1)]
)
def test_body_over_the_limit_is_413_while_it_streams(bench: Bench, path: str, size: int) -> None:
    sent = 0

    def chunks() -> Any:
        nonlocal sent
        for _ in range(0, size, 1 << 16):
            sent += 1 << 16
            yield b" " * (1 << 16)

    assert refusal_of(bench.http().post(f"/kbs/v0/{path}", content=chunks())).status == 413


def test_bodies_of_all_requests_together_have_a_limit_and_give_their_room_back(bench: Bench) -> None:
    from starlette.testclient import TestClient

    from kbs.http.edge import Edge

    http = TestClient(Edge(bench.app._app, buffered=len(REQUEST)))
    answer = http.post("/kbs/v0/auth", content=REQUEST + b" ")
    assert (refusal_of(answer).status, answer.headers["retry-after"]) == (429, "1")
    for _ in range(3):
        assert http.post("/kbs/v0/auth", content=REQUEST).status_code == 200


def test_too_many_waiting_guests_are_429_and_make_room_again(
    tmp_path: Any, simulator: Any, endorsements: Any, empty: Address
) -> None:
    for bench in make_bench(tmp_path, simulator, endorsements, empty, Settings(open_challenges=2)):
        http = bench.http()
        answers = [http.post("/kbs/v0/auth", content=REQUEST) for _ in range(3)]
        assert [(one.status_code, one.headers.get("retry-after")) for one in answers] == [
            (200, None),
            (200, None),
            (429, "5"),
        ]
        bench.clock.pass_seconds(300)
        assert http.post("/kbs/v0/auth", content=REQUEST).status_code == 200


@settings(max_examples=tenth(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_to_any_door_get_a_readable_refusal(bench: Bench, body: bytes) -> None:
    http = bench.http()
    for path in ("auth", "attest", "resource/a/b/c"):
        assert 400 <= refusal_of(http.post(f"/kbs/v0/{path}", content=body)).status < 500


def test_healthz_answers(bench: Bench) -> None:
    assert bench.http().get("/healthz").json() == {"status": "serving"}
