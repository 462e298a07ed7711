"""Signing in at an OpenID provider that runs, through its own pages, as a person does: discovery, code, token, keys."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from oidc_provider_mock import run_server_in_thread

from attest import Endorsements
from attest.simulator import Simulator
from kbs.access import Subject
from kbs.administration import Administration
from kbs.broker import Settings
from kbs.clock import Clock
from kbs.config import InvalidConfig, read_config
from kbs.http.app import create_app
from kbs.passport.keys import KeysUnavailable
from kbs.service import sign_in
from kbs.sign_in.keys import DiscoveredKeys
from kbs.store.address import Address
from tests.kbs.conftest import ADMINISTRATOR, Bench, make_bench
from tests.kbs.test_access import ask
from tests.kbs.test_fetched_keys import certificate
from tests.kbs.test_sign_in import jwk_of
from tests.kbs.twin import refusal_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib.*"),
    pytest.mark.filterwarnings("ignore::authlib.deprecate.AuthlibDeprecationWarning"),
]
CLIENT, SECRET, BACK = "kbs.example", "a secret of the client", "http://127.0.0.1:1/signed-in"


@dataclass
class Provider:
    iss: str

    def token(self, subject: str) -> str:
        """The ID token that `subject` gets, by the authorization code flow."""
        with httpx.Client(base_url=self.iss, trust_env=False) as http:
            asked = {"client_id": CLIENT, "redirect_uri": BACK, "response_type": "code", "scope": "openid"}
            signed_in = http.post("/oauth2/authorize", params=asked, data={"sub": subject})
            code = httpx.URL(signed_in.headers["location"]).params["code"]
            given = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
            answer = http.post("/oauth2/token", data=given, auth=(CLIENT, SECRET)).raise_for_status()
            return str(answer.json()["id_token"])


@pytest.fixture
def provider() -> Iterator[Provider]:
    with run_server_in_thread() as server:
        yield Provider(f"http://localhost:{server.server_port}")


CONFIG = """\
state: .
people:
  sign-in:
    - {{name: corp, iss: "{iss}", audience: kbs.example, algorithms: [RS256], typ: JWT}}
"""


@pytest.fixture
def now(tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address) -> Iterator[Bench]:
    """A broker whose clock is the machine's, as the provider's is."""
    today = datetime.now(UTC).replace(microsecond=0)
    yield from make_bench(tmp_path, simulator, endorsements, empty, Settings(), today)


def test_a_person_signs_in_at_a_provider_and_asks_the_broker(
    now: Bench, provider: Provider, tmp_path: Path
) -> None:
    config = read_config(CONFIG.format(iss=provider.iss).encode(), tmp_path / "kbs.yaml")
    now.administration = Administration(now.store, now.keys, Clock(now.clock), sign_in=sign_in(config))
    now.app = create_app(now.broker, now.administration, now.store)
    now.administration.people.add(ADMINISTRATOR, "ann", "auditor", [], None, Subject("corp", "ann@corp"))
    assert ask(now, provider.token("ann@corp"), "GET", "rules").is_success
    assert refusal_of(ask(now, provider.token("eve@corp"), "GET", "rules")).status == 401
    header, payload, signature = provider.token("ann@corp").split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    more = (
        base64.urlsafe_b64encode(json.dumps({**said, "exp": said["exp"] + 1}).encode()).decode().rstrip("=")
    )
    assert refusal_of(ask(now, f"{header}.{more}.{signature}", "GET", "rules")).status == 401


def test_a_provider_for_another_audience_or_algorithm_counts_for_nobody(
    now: Bench, provider: Provider, tmp_path: Path
) -> None:
    for old, new in (("audience: kbs", "audience: other"), ("RS256", "ES256"), ("typ: JWT", "typ: at+jwt")):
        text = CONFIG.format(iss=provider.iss).replace(old, new)
        believed = sign_in(read_config(text.encode(), tmp_path / "kbs.yaml"))
        now.administration = Administration(now.store, now.keys, Clock(now.clock), sign_in=believed)
        now.app = create_app(now.broker, now.administration, now.store)
        now.administration.people.add(ADMINISTRATOR, "ann", "auditor", [], None, Subject("corp", "ann"))
        assert refusal_of(ask(now, provider.token("ann"), "GET", "rules")).status in (401, 503)
        now.administration.people.remove(ADMINISTRATOR, "ann")


@pytest.mark.parametrize(
    "said",
    [
        "iss: http://id.example, audience: a",
        'iss: "https://user:password@id.example", audience: a',
        "iss: id.example, audience: a",
        "iss: https://id.example, audience: a, algorithms: [HS256]",
        "iss: https://id.example, audience: a, algorithms: [none]",
        "iss: https://id.example, audience: a, algorithms: []",
        "iss: https://id.example, audience: a, typ: anything",
        "iss: https://id.example, audience: a, token-seconds: 90000",
        "iss: https://id.example",
        "audience: a",
    ],
)
def test_t_ssrf_t_jwtalg_a_provider_that_would_be_unsafe_is_not_configured(said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig):
        sign_in(
            read_config(f"state: .\npeople: {{sign-in: [{{name: corp, {said}}}]}}\n".encode(), tmp_path / "k")
        )


# -- where a provider says that its keys are -----------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    documents: dict[str, Any]

    def do_GET(self) -> None:
        body = json.dumps(self.documents.get(self.path, {})).encode()
        self.send_response(200 if self.path in self.documents else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def discovery(tmp_path: Path) -> Iterator[tuple[str, dict[str, Any], ssl.SSLContext]]:
    """An address over TLS, what it answers, and whom to trust for it."""
    pem = certificate(tmp_path)
    documents: dict[str, Any] = {"/keys": {"keys": [jwk_of("ES256")]}}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Answers,), {"documents": documents}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_address[1]}"
    yield url, documents, ssl.create_default_context(cafile=str(pem))
    server.shutdown()
    server.server_close()


def test_keys_are_where_the_provider_says(discovery: tuple[str, dict[str, Any], ssl.SSLContext]) -> None:
    url, documents, trusted = discovery
    documents["/.well-known/openid-configuration"] = {"issuer": url, "jwks_uri": f"{url}/keys"}
    keys = DiscoveredKeys(url, frozenset({"ES256"}), verify=trusted)
    assert set(keys.current(datetime.now(UTC))) == {"ES256"}


@pytest.mark.parametrize("wrong", ["issuer", "scheme", "password", "none", "file"])
def test_t_ssrf_a_configuration_of_another_or_keys_elsewhere_than_https_are_none(
    discovery: tuple[str, dict[str, Any], ssl.SSLContext], wrong: str
) -> None:
    url, documents, trusted = discovery
    found: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}
    changes: dict[str, dict[str, Any]] = {
        "issuer": {"issuer": "https://evil.example"},
        "scheme": {"jwks_uri": "http://id.example/keys"},
        "password": {"jwks_uri": f"https://a:b@{url.removeprefix('https://')}/keys"},
        "none": {"jwks_uri": None},
        "file": {"jwks_uri": "file:///etc/passwd"},
    }
    found |= changes[wrong]
    documents["/.well-known/openid-configuration"] = found
    keys = DiscoveredKeys(url, frozenset({"ES256"}), verify=trusted)
    with pytest.raises(KeysUnavailable):
        keys.current(datetime.now(UTC))
    # It is asked again after its pause, and counts then.
    documents["/.well-known/openid-configuration"] = {"issuer": url, "jwks_uri": f"{url}/keys"}
    assert keys.current(datetime.now(UTC) + timedelta(seconds=31))
