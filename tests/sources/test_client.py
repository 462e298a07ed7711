"""One request: what is retried, what is not, and the limits that hold whatever a server does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from attest.cli.fetching import service_key
from attest.errors import Malformed
from attest.sources.client import Client, Request, shown
from attest.sources.failure import FetchFailed
from attest.sources.hosts import Hosts
from tests.conftest import NOON
from tests.sources.conftest import Site
from tests.sources.vendors import Fault

PATH = "/IntelSGXRootCA.der"


@pytest.fixture
def client(site: Site, tdx: object) -> Client:
    return site.sources().client


def ask(site: Site, client: Client, **keywords: object) -> bytes:
    request = Request(f"{site.vendors.base}{PATH}", 64 << 10, **keywords)  # type: ignore[arg-type]
    return client.send(request).body


def codes(site: Site, client: Client, **keywords: object) -> set[str]:
    with pytest.raises(FetchFailed) as failure:
        ask(site, client, **keywords)
    return failure.value.codes


def test_an_answer_is_the_bytes_that_were_sent(site: Site, client: Client) -> None:
    assert ask(site, client) == site.vendors.answer("GET", PATH, b"")[2]
    (request,) = site.vendors.requests
    assert request[2]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "fault", [Fault("status", 500), Fault("status", 503), Fault("cut-off"), Fault("close")]
)
def test_what_may_pass_is_tried_again_after_a_pause(site: Site, client: Client, fault: Fault) -> None:
    site.vendors.fail(PATH, fault)
    assert ask(site, client)
    assert site.clock.slept == [0.5]


def test_pauses_grow_and_end(site: Site, client: Client) -> None:
    site.vendors.fail(PATH, *[Fault("status", 500)] * 9)
    assert codes(site, client) == {"sources.status"}
    assert site.clock.slept == [0.5, 1.0, 2.0]
    assert len(site.vendors.requests) == 4


def test_jitter_keeps_those_who_failed_together_apart(site: Site, client: Client) -> None:
    client.jitter = lambda: 0.0
    site.vendors.fail(PATH, Fault("status", 500))
    ask(site, client)
    assert site.clock.slept == [0.25]


def test_an_answer_cut_off_in_the_middle_is_none(site: Site, client: Client) -> None:
    site.vendors.fail(PATH, *[Fault("cut-off")] * 4)
    assert codes(site, client) == {"sources.cut-off"}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("status", 400), "sources.status"),
        (Fault("status", 404), "sources.not-found"),
        (Fault("status", 410), "sources.gone"),
        (Fault("html"), "sources.content"),
        (Fault("huge"), "sources.too-large"),
        (Fault("huge-unannounced"), "sources.too-large"),
        (Fault("type", headers={"Content-Encoding": "gzip"}), "sources.content"),
    ],
)
def test_what_will_not_change_is_asked_once(site: Site, client: Client, fault: Fault, code: str) -> None:
    site.vendors.fail(PATH, fault)
    assert codes(site, client) == {code}
    assert len(site.vendors.requests) == 1


def test_another_media_type_than_expected_is_no_answer(site: Site, client: Client) -> None:
    assert codes(site, client, types=("application/json",)) == {"sources.content"}


def test_t_ssrf_a_redirect_is_not_followed(site: Site, client: Client) -> None:
    """T-SSRF"""
    site.vendors.fail(PATH, Fault("redirect", body=f"{site.vendors.base}/elsewhere".encode()))
    assert codes(site, client) == {"sources.redirect"}
    assert site.vendors.asked("elsewhere") == []


@pytest.mark.parametrize("text", ["7", format_datetime(NOON + timedelta(seconds=7), usegmt=True)])
def test_retry_after_is_waited_for(site: Site, client: Client, text: str) -> None:
    site.vendors.fail(PATH, Fault("status", 429, {"Retry-After": text}))
    assert ask(site, client)
    assert site.clock.slept == [7.0]


def test_a_wait_longer_than_the_budget_is_not_waited(site: Site, client: Client) -> None:
    site.vendors.fail(PATH, Fault("status", 429, {"Retry-After": "600"}))
    with pytest.raises(FetchFailed) as failure:
        ask(site, client)
    assert failure.value.codes == {"sources.rate-limited"}
    assert failure.value.retry_at == NOON + timedelta(seconds=600)
    assert site.clock.slept == []


def test_a_server_that_does_not_answer_in_time(site: Site, client: Client) -> None:
    client.read = 0.05
    client.attempts = 1
    site.vendors.fail(PATH, Fault("slow", wait=0.3))
    assert codes(site, client) == {"sources.slow"}


def test_a_byte_now_and_then_does_not_stretch_the_time(site: Site, client: Client) -> None:
    """T-DOS: no read ever times out, the answer as a whole does."""
    client.clock = iter(range(0, 1000, 20)).__next__  # each look costs 20 s
    client.attempts = 1
    site.vendors.fail(PATH, Fault("drip", wait=0.001))
    assert codes(site, client, budget=60.0) == {"sources.slow"}


def test_nobody_listens(site: Site, client: Client) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    client.attempts = 1
    with pytest.raises(FetchFailed) as failure:
        client.send(Request(url, 10))
    assert failure.value.codes == {"sources.unreachable"}


def test_proxies_and_passwords_of_the_environment_are_not_used(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(site, client)


# -- TLS -----------------------------------------------------------------------------------------------


@pytest.fixture
def behind_tls(site: Site, tmp_path: Path) -> Path:
    """The services under a certificate that only `ca.pem` vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOON - timedelta(days=3650))
        .not_valid_after(NOON + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    assert site.vendors.server is not None
    site.vendors.server.socket = context.wrap_socket(site.vendors.server.socket, server_side=True)
    site.vendors.base = site.vendors.base.replace("http:", "https:")
    return tmp_path / "ca.pem"


def test_a_certificate_of_a_stranger_is_not_talked_to(site: Site, client: Client, behind_tls: Path) -> None:
    client.attempts = 1
    assert codes(site, client) == {"sources.unreachable"}
    assert site.vendors.requests == []


def test_a_ca_of_our_own_can_be_named(site: Site, client: Client, behind_tls: Path) -> None:
    client.ca_file = str(behind_tls)
    assert ask(site, client)


def test_a_ca_file_that_is_none_is_said_so(site: Site, client: Client, tmp_path: Path) -> None:
    client.ca_file = str(tmp_path / "missing.pem")
    assert codes(site, client) == {"sources.unreachable"}


# -- pace ----------------------------------------------------------------------------------------------


def test_two_clients_of_one_folder_keep_the_pace_together(site: Site, client: Client) -> None:
    """AMD's KDS answers about one request in ten seconds for an address, of whatever process."""
    other = site.sources().client
    ask(site, client, pace=10.0)
    ask(site, other, pace=10.0)
    ask(site, client, pace=10.0)
    assert site.clock.slept == pytest.approx([10, 10], abs=0.01)


def test_what_a_429_asks_holds_for_everybody(site: Site, client: Client) -> None:
    """Also when the one who was told gives up."""
    client.attempts = 1
    site.vendors.fail(PATH, Fault("status", 429, {"Retry-After": "40"}))
    assert codes(site, client, pace=10.0) == {"sources.rate-limited"}
    assert site.clock.slept == []
    other = site.sources().client
    assert ask(site, other, pace=10.0, budget=100.0)
    assert site.clock.slept == pytest.approx([40], abs=0.01)


def test_an_hour_is_the_longest_wait_that_is_believed(site: Site, client: Client) -> None:
    site.vendors.fail(PATH, Fault("status", 429, {"Retry-After": "999999999"}))
    with pytest.raises(FetchFailed) as failure:
        ask(site, client)
    assert failure.value.retry_at == NOON + timedelta(hours=1)


def test_who_does_not_reach_the_host_takes_nobodys_turn(client: Client, site: Site) -> None:
    """Without a network there is an answer in seconds, at whatever pace the service wants."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(FetchFailed) as failure:
        client.send(Request(url, 10, pace=10.0))
    assert failure.value.codes == {"sources.unreachable"}
    assert sum(site.clock.slept) == pytest.approx(3.5, abs=0.1)


def test_a_turn_beyond_the_budget_is_not_taken(site: Site, client: Client) -> None:
    for _ in range(4):
        ask(site, client, pace=10.0)
    site.clock.at = NOON
    with pytest.raises(FetchFailed) as failure:
        ask(site, client, pace=10.0, budget=15.0)
    assert failure.value.codes == {"sources.rate-limited"}
    assert failure.value.retry_at == NOON + timedelta(seconds=40)


def test_a_broken_pace_file_stops_nobody(site: Site, client: Client) -> None:
    ask(site, client, pace=10.0)
    (pace,) = [
        file
        for file in (site.folder / "answers").iterdir()
        if file.name.startswith("pace-") and file.suffix == ""
    ]
    for text in ("nonsense", "1e300", "1e10", "inf", "nan", "-5"):
        pace.write_text(text)
        assert ask(site, client, pace=10.0)


def test_threads_without_a_folder_keep_the_pace(site: Site, client: Client) -> None:
    client.folder = None
    threads = [threading.Thread(target=ask, args=(site, client), kwargs={"pace": 10.0}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.vendors.requests) == 3
    assert len(site.clock.slept) == 2


# -- addresses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["ftp://kds", "https://", "https://u:p@kds", "https://kds?x=1", "https://kds#f", "https://k ds", "kds", "https://kds:x", "file:///etc"],
)  # fmt: skip
def test_an_address_is_an_origin_and_a_path(url: str) -> None:
    with pytest.raises(Malformed) as refusal:
        Hosts(kds=url)
    assert refusal.value.codes == {"usage"}


def test_the_environment_names_other_addresses_and_an_option_wins() -> None:
    environment = {"ATTEST_KDS_URL": "http://kds.example/a/", "ATTEST_PCCS_URL": "https://one.example:8081"}
    hosts = Hosts.from_environment(environment, pccs="https://two.example")
    assert (hosts.kds, hosts.pccs, hosts.rim) == (
        "http://kds.example/a", "https://two.example", "https://rim.attestation.nvidia.com",
    )  # fmt: skip


def test_a_url_is_shown_without_its_long_tail() -> None:
    assert shown("https://pcs.example/a?encrypted_ppid=" + "ab" * 300).count("ab") < 40


# -- servers that end nothing ----------------------------------------------------------------------------


def _endless(head: bytes, piece: bytes) -> str:
    """The address of a server that sends `head`, and then `piece` for ever."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(head)
            while True:
                connection.sendall(piece)
                time.sleep(0.02)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;a"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
    ],
    ids=["interim answers", "a header", "trailers", "an extension", "a body"],
)
def test_the_budget_ends_whatever_a_server_sends_without_end(head: bytes, piece: bytes) -> None:
    request = Request(_endless(head, piece), 64 << 10, budget=0.4)
    with pytest.raises(FetchFailed) as failure:
        Client(attempts=1).send(request)
    assert failure.value.codes == {"sources.slow"}


@pytest.mark.parametrize("text", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
                                  "Mon, 01 Jan 2024 00:00:00 +99999999999999"])  # fmt: skip
def test_a_retry_after_beyond_all_time_is_none(site: Site, client: Client, text: str) -> None:
    site.vendors.fail(PATH, *[Fault("status", 429, {"Retry-After": text})] * 4)
    assert codes(site, client) == {"sources.rate-limited"}


@pytest.mark.parametrize("key", ["hidden\n", "hidden\0", "hiddén"])
def test_a_key_that_no_header_can_carry_is_not_repeated(site: Site, client: Client, key: str) -> None:
    with pytest.raises(FetchFailed) as failure:
        ask(site, client, headers={"authorization": f"Bearer {key}"})
    assert failure.value.codes == {"sources.unreachable"}
    assert "hidd" not in repr(failure.value.reason)


def test_a_line_break_behind_a_service_key_is_not_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTEST_NVIDIA_KEY", "key\n")
    assert service_key() == "key"
    monkeypatch.setenv("ATTEST_NVIDIA_KEY", "\n")
    assert service_key() is None


@pytest.mark.parametrize(
    "proxy", ["ftp://user:hidden@proxy:1", "user:hidden@proxy", "http://user:hid\1den@proxy"]
)
def test_a_proxy_that_is_none_is_told_without_its_password(site: Site, client: Client, proxy: str) -> None:
    client.proxy = proxy
    with pytest.raises(FetchFailed) as failure:
        ask(site, client)
    assert failure.value.codes == {"sources.unreachable"}
    assert "hid" not in repr(failure.value.reason)
