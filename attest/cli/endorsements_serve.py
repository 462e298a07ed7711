"""`attest endorsements serve BUNDLE|DIR`: a local KDS, PCCS, RIM service and OCSP responder for other software."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.claims import instant
from attest.cli.bundles import add_bundle_argument, bundle_reader
from attest.cli.endorsements_bundle import authentic, gather, told
from attest.cli.options import simulated_anchors, usage
from attest.cli.progress import say
from attest.endorsements import Endorsements
from attest.errors import AttestError
from attest.loader import read_into
from attest.recognise import Found
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.sources.asked import Reply
    from attest.sources.shelf import Shelf

_MAX_FILES = 20_000
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_EPILOG = """\
BUNDLE needs --bundle-key; DIR is a folder of endorsement files of your own. Only what leads to a pinned root is
handed out, as the vendors' own bytes, and every client verifies them again. Plain HTTP on this machine: put a
TLS proxy before it where other machines ask, or where a client insists on https.

  attest endorsements serve fleet.bundle.json --bundle-key ours.pub --listen 127.0.0.1:8081

How other software is pointed at it (URL is http://127.0.0.1:8081):
  attest            ATTEST_KDS_URL=URL ATTEST_PCCS_URL=URL ATTEST_RIM_URL=URL ATTEST_OCSP_URL=URL
  go-sev-guest      verify.Options.Getter: an HTTPSGetter that asks URL for https://kdsintf.amd.com
  go-tdx-guest      verify.Options.Getter likewise, for api.trustedservices.intel.com
  dcap-qvl          PCCS_URL=URL
  Trustee, DCAP     /etc/sgx_default_qcnl.conf: "pccs_url": "URL/sgx/certification/v4/"
  nvtrust           NV_RIM_URL=URL/v1/rim/ NV_OCSP_URL=URL/
  nvattest          NVAT_RIM_SERVICE_BASE_URL=URL NVAT_OCSP_BASE_URL=URL

What it answers:
  GET  /vcek/v1/PRODUCT/HWID?blSPL=…   /vlek/v1/PRODUCT/cert?blSPL=…   …/cert_chain   …/crl
  GET  /tdx/certification/v4/tcb?fmspc=…   /tdx/certification/v4/qe/identity
  GET  /sgx/certification/v4/pckcrl?ca=…[&encoding=der|pem]   …/rootcacrl   /IntelSGXRootCA.der
  GET  /v1/rim/ids   /v1/rim/ID          POST  /   an OCSP request (answers were made ahead: no nonce)

A log line a request goes to standard error: time, client, method, target, status, bytes. When the bundle's own
time ends every answer is 503; an endorsement that has ended is handed out all the same, for its client to refuse.

Ends with Ctrl-C or SIGTERM. Exit status: 0 then, 1 the bundle is refused, 2 malformed input, wrong use, or nothing to hand
out."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "serve",
        help="hand endorsements out to other software",
        description="Hand a bundle out as a local KDS, PCCS, RIM service and OCSP responder.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="BUNDLE|DIR", help="a signed bundle, or a folder of endorsements")
    parser.add_argument(
        "--listen", default="127.0.0.1:8081", metavar="HOST:PORT", help="default 127.0.0.1:8081; port 0: a free one"
    )  # fmt: skip
    add_bundle_argument(parser)
    parser.add_argument(
        "--simulator-root", metavar="FILE", help="also hand out this simulator's endorsements"
    )
    parser.set_defaults(run=run, json=False)


def run(args: argparse.Namespace) -> int:
    try:
        address = listen_argument(args.listen)
        shelf, expires = shelf_of(args, datetime.now(UTC).replace(microsecond=0))
        return _serve(address, shelf, expires)
    except AttestError as error:
        return told(args, error)


def listen_argument(text: str) -> tuple[str, int]:
    """Raises Malformed (`usage`)."""
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise usage(f"--listen {escape(text)} is no HOST:PORT like 127.0.0.1:8081 or [::1]:8081")
    return match["six"] or match["host"], int(match["port"])


def shelf_of(args: argparse.Namespace, at: datetime) -> tuple[Shelf, datetime | None]:
    """What is to be handed out, and until when. Raises Malformed, Rejected."""
    from attest.sources.shelf import Shelf

    anchors = simulated_anchors(args)
    ids: dict[bytes, str] = {}
    expires = None
    if Path(args.source).is_dir():
        try:
            files = sorted(str(path) for path in Path(args.source).iterdir() if path.is_file())
        except OSError as error:
            raise usage(f"{escape(args.source)} cannot be read: {error.strerror}") from None
        if len(files) > _MAX_FILES:
            raise usage(f"{escape(args.source)} holds more than {_MAX_FILES} files")
        _, held, ids, _ = gather(files, bundle_reader(args, at, None))
    else:
        held, ids, expires = _of_bundle(args, at)
    kept, left_out = authentic(held, at, anchors)
    for one in left_out:
        print(f"not handed out: {one.kind} {one.about}: {one.why}", file=sys.stderr)
    if kept == Endorsements():
        why = "nothing in it leads to a pinned root" if left_out else "it holds no endorsement"
        raise usage(f"{escape(args.source)}: {why}, so there is nothing to hand out")
    shelf = Shelf(kept, anchors=anchors, rim_ids=ids)
    if shelf.without_id:
        print(_without_id(shelf.without_id, args), file=sys.stderr)
    return shelf, expires


def _without_id(count: int, args: argparse.Namespace) -> str:
    place = escape(args.source)
    remedy = (
        f"put the evidence of the GPU or switch into {place} beside them, or call each file ID.xml"
        if Path(args.source).is_dir()
        else "make the bundle again with the evidence of the GPU or switch among its FILE"
    )
    manifests = "1 manifest" if count == 1 else f"{count} manifests"
    return f"not handed out: {manifests} whose id is not known, by which clients ask\n    → {remedy}"


def _of_bundle(args: argparse.Namespace, at: datetime) -> tuple[Endorsements, dict[bytes, str], datetime]:
    found = Found(bounded=False)
    read_into(found, args.source)
    if len(found.sealed) != 1:
        raise usage(f"{escape(args.source)} is no signed bundle: give one, or a folder of endorsements")
    reader = bundle_reader(args, at, None)
    if reader is None:
        found.endorsements()  # says that a key is missing
        raise AssertionError("an unopened bundle is a problem")
    bundle = reader.open(*found.sealed[0])
    return bundle.endorsements(), bundle.rim_ids(), bundle.expires


def asking(shelf: Shelf, expires: datetime | None, now: Callable[[], datetime]) -> Any:
    """The shelf's answers until its bundle ends, 503 from then on."""
    from attest.sources.asked import Refusal

    def ask(method: str, target: str, content_type: str, body: bytes) -> Reply:
        if expires is not None and now() > expires:
            raise Refusal(503, f"the bundle ended at {instant(expires)}: start again with a current one")
        return shelf.answer(method, target, content_type, body)

    return ask


def _serve(address: tuple[str, int], shelf: Shelf, expires: datetime | None) -> int:
    from attest.sources.serve import EndorsementServer

    try:
        server = EndorsementServer(address, asking(shelf, expires, lambda: datetime.now(UTC)), say)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise usage(f"--listen {address[0]}:{address[1]}: {reason}") from None
    counts = ", ".join(f"{count} {name}" for name, count in shelf.counts().items())
    until = "" if expires is None else f", until {instant(expires)}"
    print(f"{server.url} hands out {counts}{until}", flush=True)
    if address[0] not in ("127.0.0.1", "localhost", "::1"):
        print("others on the network can ask: what it hands out is public, which machines you have may not be",
              file=sys.stderr)  # fmt: skip

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    with server:
        server.serve_forever(poll_interval=0.2)
    return 0
