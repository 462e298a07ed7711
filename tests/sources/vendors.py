"""The vendors' services on a local port: AMD KDS, Intel PCS and a PCCS, NVIDIA RIM and OCSP, Azure THIM.

They answer as the real ones do, from what the simulator signs, and fail on demand: `Vendors.fail` queues
faults for a path, each spent by one request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

from cryptography import x509
from cryptography.x509 import ocsp

from attest.endorsements import Endorsements, SignedDocument
from attest.simulator.certificates import pem
from attest.snp.leaf import kind_of, read_leaf
from attest.snp.tcb import PRODUCTS, Product
from attest.sources.hosts import Hosts
from attest.tdx.collateral import TCB_INFO
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate, Crl

Answer = tuple[int, dict[str, str], bytes]
_JSON = {"content-type": "application/json"}
_SPL = {"bootloader": "blSPL", "tee": "teeSPL", "snp": "snpSPL", "microcode": "ucodeSPL", "fmc": "fmcSPL"}


@dataclass
class Fault:
    """What happens in place of the answer, or to it. wait: seconds before it, or between its bytes.

    kind: status, cut-off, drip, html, huge, huge-unannounced, redirect, type, encoding, other-body, close.
    """

    kind: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    body: bytes = b""


@dataclass
class Vendors:
    """requests: (method, path with query, headers) of every request, in order. base: of the local server."""

    endorsements: Endorsements = field(default_factory=Endorsements)
    rim_ids: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    base: str = ""
    pccs: bool = False
    server: ThreadingHTTPServer | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def hosts(self) -> Hosts:
        base = self.base
        return Hosts(
            kds=base, pcs=base, pcs_root_crl=base, pccs=base if self.pccs else None, rim=base, ocsp=base, thim=base
        )  # fmt: skip

    def fail(self, path: str, *faults: Fault) -> None:
        """The next requests whose path holds `path` meet these faults, one each."""
        self.faults.setdefault(path, []).extend(faults)

    def serve(self, *more: Endorsements) -> Vendors:
        for endorsements in more:
            self.endorsements += endorsements
        return self

    def asked(self, part: str = "") -> list[str]:
        return [path for _, path, _ in self.requests if part in path]

    # -- answers ---------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        words = parts.path.strip("/").split("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if method == "POST" and parts.path == "/":
            return self._ocsp(body)
        if method != "GET":
            return 405, {}, b""
        if words[:1] in (["vcek"], ["vlek"]) and words[1:2] == ["v1"]:
            return self._kds(words[0], words[2:], query)
        if words[:2] == ["v1", "rim"] and len(words) == 3:
            return self._rim(words[2])
        if parts.path == "/IntelSGXRootCA.der":
            return self._crl("Intel SGX Root CA")
        if parts.path == "/sgx/certification/v4/rootcacrl" and self.pccs:
            status, headers, der = self._crl("Intel SGX Root CA")
            return status, headers, der.hex().encode()
        if parts.path == "/sgx/certification/v4/pckcrl":
            status, headers, der = self._crl(
                f"Intel SGX PCK {query['ca'].title()} CA", "SGX-PCK-CRL-Issuer-Chain"
            )
            return status, headers, der.hex().encode() if self.pccs else der
        if parts.path == "/tdx/certification/v4/tcb":
            return self._document("tcb-info", query, "TCB-Info-Issuer-Chain")
        if parts.path == "/tdx/certification/v4/qe/identity":
            return self._document("qe-identity", query, "SGX-Enclave-Identity-Issuer-Chain")
        if parts.path == "/metadata/THIM/amd/certification":
            return self._thim()
        return 404, {}, b"Not found"

    def _kds(self, kind: str, words: list[str], query: dict[str, str]) -> Answer:
        title, what = words[0], words[1]
        product: Product | None = next((p for p in PRODUCTS if p == title.lower()), None)
        if product is None or title != product.title():
            return 404, {}, b""
        if what == "crl":
            return self._crl(f"ARK-{title}")
        if what == "cert_chain":
            name = f"SEV-{title}" if kind == "vcek" else f"SEV-VLEK-{title}"
            chain = [c for c in self.endorsements.certificates if c.common_name in (name, f"ARK-{title}")]
            chain.sort(key=lambda c: c.common_name != name)
            return (200, {}, b"".join(pem(c.der) for c in chain)) if chain else (404, {}, b"")
        for leaf in self.endorsements.certificates:
            if kind_of(leaf) != "vcek" or not leaf.issuer_common_name.endswith(title):
                continue
            facts = read_leaf(leaf, "vcek", product)
            wanted = {_SPL[name]: value for name, value in facts.tcb.components.items()}
            if (
                facts.hwid is not None
                and facts.hwid.hex() == what
                and {name: int(value) for name, value in query.items()} == wanted
            ):
                return 200, {"content-type": "application/octet-stream"}, leaf.der
        return 404, {}, b""

    def _crl(self, issuer: str, chain_header: str | None = None) -> Answer:
        for crl in reversed(self.endorsements.crls):
            names = crl.parsed.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            if [name.value for name in names] == [issuer]:
                headers = {"content-type": "application/pkix-crl"}
                if chain_header is not None:
                    headers[chain_header] = self._issuers(crl)
                return 200, headers, crl.der
        return 404, {}, b""

    def _issuers(self, crl: Crl) -> str:
        chain = [c for c in self.endorsements.certificates if c.subject_der == crl.issuer_der][:1]
        chain += [
            c for c in self.endorsements.certificates if chain and c.subject_der == chain[0].issuer_der
        ][:1]
        return _percent(chain)

    def _document(self, kind: str, query: dict[str, str], header: str) -> Answer:
        for document in reversed(self.endorsements.documents):
            if document.kind != kind:
                continue
            if kind == TCB_INFO and TcbInfo.parse(document.body).fmspc.hex().upper() != query["fmspc"]:
                continue
            return 200, {**_JSON, header: _percent(document.chain)}, pcs_body(document)
        return 404, {}, b""

    def _rim(self, identifier: str) -> Answer:
        xml = self.rim_ids.get(identifier)
        if xml is None:
            return 404, _JSON, b'{"error":"RIM not found"}'
        document = {
            "id": identifier,
            "rim": base64.b64encode(xml).decode(),
            "sha256": hashlib.sha256(xml).hexdigest(),
            "last_updated": "2026-01-01T00:00:00Z",
            "rim_format": "TCG",
            "request_id": "1",
        }
        return 200, _JSON, json.dumps(document).encode()

    def _ocsp(self, body: bytes) -> Answer:
        asked = ocsp.load_der_ocsp_request(body)
        for answer in reversed(self.endorsements.ocsp):
            single = next(ocsp.load_der_ocsp_response(answer).responses)
            if (
                single.serial_number == asked.serial_number
                and single.issuer_key_hash == asked.issuer_key_hash
            ):
                return 200, {"content-type": "application/ocsp-response"}, answer
        # unauthorized (6): RFC 6960 §2.3
        return 200, {"content-type": "application/ocsp-response"}, bytes.fromhex("30030a0106")

    def _thim(self) -> Answer:
        leaves = [c for c in self.endorsements.certificates if kind_of(c) == "vcek"]
        chain = [
            c for c in self.endorsements.certificates if c.common_name.startswith(("SEV-G", "SEV-M", "ARK-"))
        ]
        document = {
            "vcekCert": pem(leaves[0].der).decode(),
            "certificateChain": b"".join(pem(c.der) for c in chain).decode(),
            "tcbm": "",
            "cacheControl": "86400",
        }
        return 200, _JSON, json.dumps(document).encode()


def pcs_body(document: SignedDocument) -> bytes:
    member = b"tcbInfo" if document.kind == TCB_INFO else b"enclaveIdentity"
    return (
        b'{"' + member + b'":' + document.body + b',"signature":"' + document.signature.hex().encode() + b'"}'
    )


def _percent(chain: tuple[Certificate, ...] | list[Certificate]) -> str:
    return quote(b"".join(pem(certificate.der) for certificate in chain).decode(), safe="")


def rim_ids_of(rims: dict[str, bytes]) -> dict[str, bytes]:
    """From the simulator's file names, `simulated-NV_….xml`."""
    return {
        name.removeprefix("simulated-").removesuffix(".xml"): data
        for name, data in rims.items()
        if name.startswith("simulated-NV_")
    }


@contextmanager
def running(vendors: Vendors) -> Iterator[Vendors]:
    """Listen on a free port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            with vendors.lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                vendors.requests.append((self.command, self.path, headers))
                fault = next(
                    (queue.pop(0) for part, queue in vendors.faults.items() if part in self.path and queue),
                    None,
                )
            status, headers, data = vendors.answer(self.command, self.path, body)
            _SEND[fault.kind if fault else "plain"](self, fault or Fault("plain"), status, headers, data)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    vendors.server = server
    vendors.base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield vendors
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _plain(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(data))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def _status(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    _plain(handler, fault, fault.status, fault.headers, b"no")


def _cut_off(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(data))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def _drip(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    """A byte now and then: no read ever times out."""
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(data))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    for byte in data:
        time.sleep(fault.wait)
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()


def _slow(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    time.sleep(fault.wait)
    _plain(handler, fault, status, headers, data)


def _html(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    page = b"<html><body>Please log in to this hotel</body></html>"
    _plain(handler, fault, 200, {"content-type": "text/html; charset=utf-8"}, page)


def _huge(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 40))
    handler.end_headers()
    handler.close_connection = True


def _unannounced(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    try:
        for _ in range(1 << 10):
            handler.wfile.write(b"0" * (64 << 10))
    except OSError:
        pass
    handler.close_connection = True


def _redirect(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    _plain(handler, fault, 302, {"Location": fault.body.decode()}, b"")


def _type(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    _plain(handler, fault, status, {**headers, **fault.headers}, data)


def _other(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    _plain(handler, fault, 200, headers, fault.body)


def _close(
    handler: BaseHTTPRequestHandler, fault: Fault, status: int, headers: dict[str, str], data: bytes
) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


_SEND: dict[str, Callable[[BaseHTTPRequestHandler, Fault, int, dict[str, str], bytes], None]] = {
    "plain": _plain,
    "status": _status,
    "cut-off": _cut_off,
    "drip": _drip,
    "slow": _slow,
    "html": _html,
    "huge": _huge,
    "huge-unannounced": _unannounced,
    "redirect": _redirect,
    "type": _type,
    "other-body": _other,
    "close": _close,
}
