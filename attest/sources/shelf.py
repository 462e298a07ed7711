"""What a bundle can answer in the vendors' own words: AMD's KDS, Intel's PCS and PCCS, NVIDIA's RIM and OCSP.

Pure: method, target and body in, an answer out; `attest.sources.serve` speaks HTTP. Every answer is bytes that a
vendor signed, found by what the question names; nothing is made up, and what is not there is 404. A target is
split by a closed grammar, never decoded: no question can name anything but what was put on the shelf.
Source: AMD 57230 (KDS); Intel PCS API v4, Intel PCCS API; NVIDIA RIM service; RFC 6960, appendix A.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping

from cryptography.exceptions import UnsupportedAlgorithm

from attest.anchors import Anchors
from attest.claims import instant
from attest.endorsements import Endorsements, SignedDocument
from attest.nvidia.ocsp_answer import Answer
from attest.nvidia.rim import Rim
from attest.snp.chain import issuer_name
from attest.snp.leaf import Kind
from attest.snp.tcb import LAYOUTS, Product
from attest.sources.asked import (
    Query,
    Refusal,
    Reply,
    crl_reply,
    evaluation,
    only,
    pem,
    percent,
    product,
    spl,
    split,
    text,
)
from attest.sources.coverage import leaf_facts
from attest.sources.offline import pcs_answer
from attest.tdx.documents import signed_by
from attest.tdx.pck import PLATFORM_CA, PROCESSOR_CA
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate, Crl

_KDS = re.compile(r"/(vcek|vlek)/v1/(Milan|Genoa|Turin)/([A-Za-z0-9_]{1,128})")
_RIM = re.compile(r"/v1/rim/(NV_[A-Z0-9._]{1,120}|ids)")
_SPL = {"bootloader": "blSPL", "tee": "teeSPL", "snp": "snpSPL", "microcode": "ucodeSPL", "fmc": "fmcSPL"}
_UNAUTHORIZED = bytes.fromhex("30030a0106")
"""OCSPResponse with status unauthorized: this responder has no answer about that certificate (RFC 5019 §2.2.3)."""


class Shelf:
    """Everything that can be asked for, by what a question names.

    rim_ids: SHA-256 of a manifest → its id; one without an id cannot be asked for. anchors: their roots and
    intermediates complete chains.
    """

    def __init__(self, held: Endorsements, *, anchors: Anchors, rim_ids: Mapping[bytes, str]) -> None:
        self._anchors = anchors
        self._certificates = held.certificates
        self._crls = held.crls
        self._leaves: dict[tuple[str, Product, bytes | None, tuple[int, ...]], Certificate] = {}
        for certificate in held.certificates:
            known = leaf_facts(certificate)
            if known is not None:
                product, facts = known
                tcb = tuple(facts.tcb.components[name] for name in LAYOUTS[product])
                self._leaves[facts.kind, product, facts.hwid, tcb] = certificate
        self._tcb_infos: dict[tuple[str, int], tuple[TcbInfo, SignedDocument]] = {}
        self._identities: dict[int, tuple[QeIdentity, SignedDocument]] = {}
        for document in held.documents:
            self._add_document(document)
        self._rims: dict[str, Rim] = {}
        self.without_id = 0
        for rim in held.rims:
            if isinstance(rim, Rim):
                self._add_rim(rim, rim_ids.get(rim.digest))
        self._answers: dict[tuple[str, bytes, bytes, int], Answer] = {}
        for blob in held.ocsp:
            self._add_answer(blob)

    def counts(self) -> dict[str, int]:
        return {
            "VCEK and VLEK": len(self._leaves),
            "lists": len(self._crls),
            "TCB infos": len(self._tcb_infos),
            "QE identities": len(self._identities),
            "manifests": len(self._rims),
            "OCSP answers": len(self._answers),
        }

    # -- what is asked -----------------------------------------------------------------------------------

    def answer(self, method: str, target: str, content_type: str = "", body: bytes = b"") -> Reply:
        """method: GET or POST, anything else is 405. target: path and query as they came."""
        try:
            path, query = split(target)
            if method == "POST":
                return self._ocsp(path, content_type, body)
            if method != "GET":
                raise Refusal(405, "only GET, and POST of an OCSP request", ("Allow", "GET, POST"))
            return self._get(path, query)
        except Refusal as refusal:
            return refusal.reply

    def _get(self, path: str, query: Query) -> Reply:
        if path == "/":
            only(query)
            lines = [f"{count} {name}" for name, count in self.counts().items()]
            return text("Endorsements, read-only: " + ", ".join(lines) + "\n")
        kds = _KDS.fullmatch(path)
        if kds is not None:
            kind: Kind = "vcek" if kds.group(1) == "vcek" else "vlek"
            return self._kds(kind, product(kds.group(2)), kds.group(3), query)
        rim = _RIM.fullmatch(path)
        if rim is not None:
            only(query, "rim_format")
            return self._rim_ids() if rim.group(1) == "ids" else self._rim(rim.group(1))
        route = self._intel().get(path)
        if route is None:
            raise Refusal(404, "no such path here")
        return route(query)

    # -- AMD ---------------------------------------------------------------------------------------------

    def _kds(self, kind: Kind, product: Product, what: str, query: Query) -> Reply:
        if what == "cert_chain":
            only(query)
            return Reply(200, "application/x-pem-file", pem(self._amd_chain(kind, product)))
        if what == "crl":
            only(query)
            ark = self._amd_chain(kind, product)[-1]
            return Reply(200, "application/pkix-crl", self._crl_of([ark]).der)
        names = [_SPL[name] for name in LAYOUTS[product]]
        only(query, *names)
        if what == "cert":
            hwid = None
        elif re.fullmatch(r"(?:[0-9a-f]{2}){1,64}", what.lower()):
            hwid = bytes.fromhex(what)
        else:
            raise Refusal(404, "no such path here")
        if (hwid is None) != (kind == "vlek"):
            raise Refusal(404, "a VCEK is asked for by hardware id, a VLEK by its TCB alone")
        tcb = tuple(spl(query, name) for name in names)
        leaf = self._leaves.get((kind, product, hwid, tcb))
        if leaf is None:
            raise Refusal(404, f"no {kind.upper()} for this chip and TCB")
        return Reply(200, "application/pkix-cert", leaf.der)

    def _amd_chain(self, kind: Kind, product: Product) -> tuple[Certificate, Certificate]:
        """ASK or ASVK, and ARK; of several the one that issued a leaf on the shelf, else the newest."""
        wanted = issuer_name(kind, product)
        roots = [a.certificate for a in self._anchors.roots if a.role == f"amd-ark-{product}"]
        # A simulator's ARK has the same name: what is on the shelf comes first.
        given = [*self._certificates, *self._anchors.intermediates]
        named = [c for c in given if c.common_name == wanted]
        leaves = [leaf for (k, p, *_), leaf in self._leaves.items() if (k, p) == (kind, product)]
        pairs = [(ca, root) for ca in dict.fromkeys(named) for root in roots if ca.issued_by(root)]
        if not pairs:
            raise Refusal(404, "no chain of this product")
        for pair in pairs:
            if leaves and leaves[0].issued_by(pair[0]):
                return pair
        return max(pairs, key=lambda pair: pair[0].not_before)

    def _crl_of(self, issuers: Iterable[Certificate]) -> Crl:
        """The newest list that one of these issuers signed."""
        own = [
            crl
            for crl in self._crls
            for issuer in issuers
            if crl.issuer_der == issuer.subject_der and crl.signed_by(issuer)
        ]
        if not own:
            raise Refusal(404, "no such list here")
        return max(own, key=lambda crl: crl.this_update)

    # -- Intel -------------------------------------------------------------------------------------------

    def _intel(self) -> dict[str, Callable[[Query], Reply]]:
        return {
            "/tdx/certification/v4/tcb": self._tcb,
            "/tdx/certification/v4/qe/identity": self._qe_identity,
            "/sgx/certification/v4/pckcrl": self._pck_crl,
            "/sgx/certification/v4/rootcacrl": self._root_crl_text,
            "/IntelSGXRootCA.der": self._root_crl,
        }

    def _tcb(self, query: Query) -> Reply:
        only(query, "fmspc", "update", "tcbEvaluationDataNumber")
        fmspc = query.get("fmspc", "").lower()
        if not re.fullmatch(r"[0-9a-f]{12}", fmspc):
            raise Refusal(400, "Invalid request parameters.")
        of_family = {number: pair for (family, number), pair in self._tcb_infos.items() if family == fmspc}
        document = of_family[evaluation(query, of_family)][1]
        chain = self._document_chain(document)
        headers = ("TCB-Info-Issuer-Chain", chain), ("SGX-TCB-Info-Issuer-Chain", chain)
        return Reply(200, "application/json", pcs_answer(document), headers)

    def _qe_identity(self, query: Query) -> Reply:
        only(query, "update", "tcbEvaluationDataNumber")
        document = self._identities[evaluation(query, self._identities)][1]
        headers = (("SGX-Enclave-Identity-Issuer-Chain", self._document_chain(document)),)
        return Reply(200, "application/json", pcs_answer(document), headers)

    def _pck_crl(self, query: Query) -> Reply:
        """DER and PEM as Intel's service hands them out; without `encoding` hex text, as a PCCS does."""
        only(query, "ca", "encoding")
        names = {"platform": PLATFORM_CA, "processor": PROCESSOR_CA}
        name = names.get(query.get("ca", "").lower())
        if name is None:
            raise Refusal(400, "Invalid request parameters.")
        issuers = [c for c in self._certificates if c.common_name == name]
        crl = self._crl_of(issuers)
        issuer = next(c for c in issuers if crl.signed_by(c))
        chain = percent(pem((issuer, *self._intel_root(issuer))))
        return crl_reply(crl, query.get("encoding", "hex"), ("SGX-PCK-CRL-Issuer-Chain", chain))

    def _root_crl_text(self, query: Query) -> Reply:
        only(query)
        return crl_reply(self._intel_root_crl(), "hex")

    def _root_crl(self, query: Query) -> Reply:
        only(query)
        return crl_reply(self._intel_root_crl(), "der")

    def _intel_root_crl(self) -> Crl:
        return self._crl_of([anchor.certificate for anchor in self._anchors.for_role("intel-sgx-root")])

    def _intel_root(self, issued: Certificate) -> tuple[Certificate, ...]:
        roots = [anchor.certificate for anchor in self._anchors.for_role("intel-sgx-root")]
        return tuple(root for root in roots if issued.issued_by(root))[:1]

    def _document_chain(self, document: SignedDocument) -> str:
        """Signer and root, leaf first, as it stands in a header."""
        signers = document.chain or tuple(
            c for c in self._certificates if signed_by(c, document.signature, document.body)
        )
        signer = signers[:1]
        return percent(pem((*signer, *(root for one in signer for root in self._intel_root(one)))))

    def _add_document(self, document: SignedDocument) -> None:
        """Of two of one evaluation number the later one counts."""
        content: TcbInfo | QeIdentity
        if document.kind == "tcb-info":
            content = TcbInfo.parse(document.body)
            key = content.fmspc.hex(), content.evaluation
            if key not in self._tcb_infos or self._tcb_infos[key][0].issue_date < content.issue_date:
                self._tcb_infos[key] = content, document
        else:
            content = QeIdentity.parse(document.body)
            known = self._identities.get(content.evaluation)
            if known is None or known[0].issue_date < content.issue_date:
                self._identities[content.evaluation] = content, document

    # -- NVIDIA ------------------------------------------------------------------------------------------

    def _add_rim(self, rim: Rim, identifier: str | None) -> None:
        if identifier is None:
            self.without_id += 1
            return
        known = self._rims.get(identifier)
        if known is None or known.chain[0].not_before < rim.chain[0].not_before:
            self._rims[identifier] = rim

    def _rim_ids(self) -> Reply:
        return Reply(200, "application/json", json.dumps({"ids": sorted(self._rims)}).encode())

    def _rim(self, identifier: str) -> Reply:
        rim = self._rims.get(identifier)
        if rim is None:
            raise Refusal(404, "no such manifest here")
        document = {
            "id": identifier,
            "rim": base64.b64encode(rim.raw).decode(),
            "sha256": rim.digest.hex(),
            "last_updated": instant(rim.chain[0].not_before),
            "rim_format": "TCG",
            "request_id": rim.digest.hex()[:32],
        }
        return Reply(200, "application/json", json.dumps(document).encode())

    def _add_answer(self, blob: bytes) -> None:
        answer = Answer.parse(blob)
        if len(answer.singles) != 1:
            return  # a request asks about one certificate
        (single,) = answer.singles
        key = single.hash_name, single.issuer_name_hash, single.issuer_key_hash, single.serial
        known = self._answers.get(key)
        if known is None or known.singles[0].this_update < single.this_update:
            self._answers[key] = answer

    def _ocsp(self, path: str, content_type: str, body: bytes) -> Reply:
        from cryptography.x509 import ocsp

        if path not in ("/", "/ocsp"):
            raise Refusal(405, "only GET here", ("Allow", "GET"))
        if content_type.partition(";")[0].strip().lower() != "application/ocsp-request":
            raise Refusal(415, "application/ocsp-request is wanted")
        try:
            request = ocsp.load_der_ocsp_request(body)
            key = (
                request.hash_algorithm.name,
                request.issuer_name_hash,
                request.issuer_key_hash,
                request.serial_number,
            )
        except (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm):
            raise Refusal(400, "an OCSP request about one certificate is wanted") from None
        answer = self._answers.get(key)
        # Answers were made ahead: none repeats a nonce (RFC 5019 §4).
        return Reply(200, "application/ocsp-response", _UNAUTHORIZED if answer is None else answer.raw)
