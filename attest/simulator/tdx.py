"""TDX quotes, byte-exact, versions 4 and 5, and Intel's endorsements for them.

Source: Intel TDX DCAP quoting library API (quote versions 4 and 5); TDX module ABI (TD report).
Integers are little-endian; curve points and signatures big-endian.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest.simulator import collateral, intel
from attest.simulator.certificates import CertificatePlan, CrlPlan, Extension, day_of, pem
from attest.simulator.eventlog import EventLogPlan, td_boot
from attest.simulator.keys import Keyring
from attest.simulator.simulated import Simulated, endorsements_of

if TYPE_CHECKING:
    from attest.endorsements import Endorsements
    from attest.evidence import Evidence

QE_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
BODY: dict[str, tuple[int, int]] = {
    "tee_tcb_svn": (0, 16),
    "mrseam": (16, 48),
    "mrsignerseam": (64, 48),
    "seamattributes": (112, 8),
    "tdattributes": (120, 8),
    "xfam": (128, 8),
    "mrtd": (136, 48),
    "mrconfigid": (184, 48),
    "mrowner": (232, 48),
    "mrownerconfig": (280, 48),
    "rtmr0": (328, 48),
    "rtmr1": (376, 48),
    "rtmr2": (424, 48),
    "rtmr3": (472, 48),
    "report_data": (520, 64),
    "tee_tcb_svn2": (584, 16),
    "mrservicetd": (600, 48),
}
"""Name → offset, size in the TD report; the last two are of version 1.5. Integers are little-endian."""
ALIASES = {"attributes": "tdattributes", "reportdata": "report_data"}
BODIES = {"1.0": (2, 584), "1.5": (3, 648)}
ATTESTATION_KEY = "p256/attestation"
SEPT_VE_DISABLE = 1 << 28


@dataclass
class QeReport:
    """The quoting enclave's report. tail: second half of its report data, after the hash of the key."""

    isvsvn: int = collateral.QE_SVN
    mrsigner: bytes = bytes.fromhex(collateral.QE_MRSIGNER)
    isvprodid: int = 2
    miscselect: bytes = bytes(4)
    attributes: bytes = bytes.fromhex("1500000000000000e700000000000000")
    tail: bytes = bytes(32)

    def encode(self, binding: bytes) -> bytes:
        return struct.pack(
            "<16s4s28x16s32s32x32s96xHH60x64s",
            bytes.fromhex("0404191b04ff00060000000000000000"),
            self.miscselect,
            self.attributes,
            hashlib.sha256(b"simulated quoting enclave").digest(),
            self.mrsigner,
            self.isvprodid,
            self.isvsvn,
            binding + self.tail,
        )


@dataclass
class TdxPlan:
    """Everything that goes into one quote and its collateral; a fault changes one thing of it.

    header: 48 bytes. body: the TD report. descriptor: type and size of version 5, None in version 4.
    attestation_key: name of the key in the quote, which signs it unless quote_key names another; point: other
    64 bytes in its place. qe_key: signs the QE report. bound_key: whose hash the QE report carries.
    collateral_root: root of the documents' signer. sent: which of leaf, CA and root stand in the quote, in order. root_crl, pck_crl: None
    for missing. documents: missing ones are left out. trailing: after the signature data. edit: last
    change to the quote's bytes. event_log: beside the quote; None without one.
    """

    at: datetime
    keys: Keyring
    version: int
    header: bytearray
    body: bytearray
    descriptor: tuple[int, int] | None
    sgx: intel.SgxFacts
    root: CertificatePlan
    ca: CertificatePlan
    pck: CertificatePlan
    tcb_signer: CertificatePlan
    documents: dict[str, collateral.DocumentPlan]
    root_crl: CrlPlan | None
    pck_crl: CrlPlan | None
    qe: QeReport
    collateral_root: CertificatePlan
    attestation_key: str = ATTESTATION_KEY
    bound_key: str = ATTESTATION_KEY
    quote_key: str = ""
    point: bytes | None = None
    qe_key: str = ""
    auth_data: bytes = bytes(range(32))
    bound_auth_data: bytes | None = None
    outer_type: int = 6
    inner_type: int = 5
    inner: bytes | None = None
    outer_slack: bytes = b""
    slack: bytes = b""
    trailing: bytes = b""
    sent: tuple[str, ...] = ("pck", "ca", "root")
    sgx_extension: bool = True
    more_crls: tuple[CrlPlan, ...] = ()
    edit: Callable[[bytearray], None] | None = None
    event_log: EventLogPlan | None = None

    def set_registers(self) -> None:
        """RTMR0 to RTMR3 as the event log gives them; registers without entries are zero."""
        if self.event_log is not None:
            registers = self.event_log.registers()
            for number in range(4):
                self.set(f"rtmr{number}", registers.get(number + 1, b""))

    def set(self, name: str, value: int | bytes) -> None:
        """A field of the TD report. Raises ValueError."""
        name = ALIASES.get(name, name)
        if name not in BODY or BODY[name][0] >= len(self.body):
            raise ValueError(f"this TD report has no field {name!r}")
        offset, size = BODY[name]
        content = value.to_bytes(size, "little") if isinstance(value, int) else value.ljust(size, b"\0")
        if len(content) != size:
            raise ValueError(f"{name} is {size} bytes")
        self.body[offset : offset + size] = content

    def set_svn(self, values: Mapping[int, int], name: str = "tee_tcb_svn") -> None:
        """Single bytes of TEE_TCB_SVN or TEE_TCB_SVN2."""
        for position, value in values.items():
            self.body[BODY[name][0] + position] = value

    @property
    def tcb_info(self) -> dict[str, Any]:
        return self.documents["tcb-info"].body

    @property
    def qe_identity(self) -> dict[str, Any]:
        return self.documents["qe-identity"].body

    def quote(self) -> bytes:
        described = struct.pack("<HI", *self.descriptor) if self.descriptor else b""
        signed = bytes(self.header) + described + bytes(self.body)
        point = self.point or self.keys.point(self.attestation_key)[1:]
        bound_point = self.point or self.keys.point(self.bound_key)[1:]
        bound = hashlib.sha256(bound_point + (self.bound_auth_data or self.auth_data)).digest()
        qe_report = self.qe.encode(bound)
        inner = self.inner if self.inner is not None else b"".join(map(pem, self.chain())) + b"\0"
        certification = (
            qe_report
            + self.keys.raw_ecdsa(self.qe_key or self.pck.key, qe_report)
            + struct.pack("<H", len(self.auth_data))
            + self.auth_data
            + struct.pack("<HI", self.inner_type, len(inner))
            + inner
            + self.outer_slack
        )
        data = (
            self.keys.raw_ecdsa(self.quote_key or self.attestation_key, signed)
            + point
            + struct.pack("<HI", self.outer_type, len(certification))
            + certification
            + self.slack
        )
        quote = bytearray(signed + struct.pack("<I", len(data)) + data + self.trailing)
        if self.edit is not None:
            self.edit(quote)
        return bytes(quote)

    def chain(self) -> list[bytes]:
        if self.sgx_extension:
            self.pck.put(Extension(intel.SGX_EXTENSION, self.sgx.encode()))
        plans = {"pck": self.pck, "ca": self.ca, "root": self.root}
        return [plans[part].build(self.keys) for part in self.sent]

    def build(self) -> Simulated:
        quote = self.quote()
        documents = {kind: plan.build(self.keys) for kind, plan in self.documents.items()}
        signer, root = self.tcb_signer.build(self.keys), self.collateral_root.build(self.keys)
        plans = (self.root_crl, self.pck_crl, *self.more_crls)
        lists = [None if crl is None else crl.build(self.keys) for crl in plans]
        files = {"simulated-quote.bin": quote}
        for kind, (body, signature) in documents.items():
            member = self.documents[kind].member
            files[f"simulated-{kind}.json"] = collateral.answer(member, body, signature)
        files["simulated-tcb-signing-chain.pem"] = pem(signer) + pem(root)
        for file, crl in zip(("root-ca", "pck", "more-0", "more-1"), lists, strict=False):
            if crl is not None:
                files[f"simulated-{file}.crl"] = crl
        given = tuple(crl for crl in lists if crl is not None)
        logged = None if self.event_log is None else self.event_log.encode()
        if logged is not None:
            files["simulated-ccel.bin"] = logged

        def endorsements() -> Endorsements:
            from attest.endorsements import SignedDocument
            from attest.x509 import Certificate

            chain = (Certificate(signer), Certificate(root))
            return endorsements_of(
                (signer, root),
                given,
                documents=tuple(
                    SignedDocument(kind, body, signature, chain)
                    for kind, (body, signature) in documents.items()
                ),
            )()

        return Simulated(
            quote, files, self.at, (signer, root), lambda: _evidence(quote, logged), endorsements
        )


def _evidence(quote: bytes, logged: bytes | None) -> Evidence:
    from attest.eventlog.log import EventLog
    from attest.evidence import Evidence
    from attest.tdx.quote import Quote

    logs = () if logged is None else (EventLog.parse(logged),)
    return Evidence(cpu=Quote.parse(quote), event_logs=logs)


def plan(
    keys: Keyring,
    made: datetime,
    at: datetime,
    *,
    version: int = 4,
    body: str | None = None,
    ca: str = "platform",
    fmspc: bytes = bytes.fromhex("00806f050000"),
    platform: int = 0,
    components: Sequence[int] | Mapping[int, int] | None = None,
    pcesvn: int = collateral.UP_TO_DATE_PCESVN,
    module_svn: int | None = None,
    qe_isvsvn: int = collateral.QE_SVN,
    tcb_evaluation: int = collateral.EVALUATION,
    tcb_status: str = "UpToDate",
    advisories: Sequence[str] = (),
    module_status: str = "UpToDate",
    module_advisories: Sequence[str] = (),
    qe_status: str = "UpToDate",
    qe_advisories: Sequence[str] = (),
    event_log: bool = False,
    secure_boot: bool = True,
    **fields: int | bytes,
) -> TdxPlan:
    """An honest quote, not yet signed.

    version: 4 or 5. body: `1.0` or `1.5` (version 5 only, and its default). ca: `platform` or `processor`.
    components: the PCK certificate's 16 SGX components, or some of them by index. module_svn:
    TEE_TCB_SVN[0]. tcb_status, module_status, qe_status and their advisories: of the newest levels, which
    honest evidence meets. event_log: whether a log comes along, of a boot with or without secure_boot,
    whose registers the quote then has. fields: any of BODY; `attributes` is TDATTRIBUTES. Raises ValueError.
    """
    chosen = body or ("1.5" if version == 5 else "1.0")
    if version not in (4, 5) or chosen not in BODIES or (version == 4 and chosen == "1.5"):
        raise ValueError("version 4 with body 1.0, or version 5 with body 1.0 or 1.5")
    if ca not in ("platform", "processor"):
        raise ValueError("ca is platform or processor")
    kind, size = BODIES[chosen]
    svns = list(collateral.UP_TO_DATE_COMPONENTS)
    if isinstance(components, Mapping):
        for index, svn in components.items():
            svns[index] = svn
    elif components is not None:
        svns = list(components)
    identity = hashlib.sha256(b"simulated platform %d" % platform).digest()
    root = intel.root(keys)
    authority = intel.pck_ca(keys, root, ca)
    day = day_of(at)
    signer = intel.tcb_signer(keys, root, day)
    info = collateral.tcb_info(
        day,
        fmspc,
        evaluation=tcb_evaluation,
        status=tcb_status,
        advisories=advisories,
        module_status=module_status,
        module_advisories=module_advisories,
    )
    qe = collateral.qe_identity(day, evaluation=tcb_evaluation, status=qe_status, advisories=qe_advisories)
    header = struct.pack("<HHI4x16s16s4x", version, 2, 0x81, QE_VENDOR, identity[:16])
    made_plan = TdxPlan(
        at,
        keys,
        version,
        bytearray(header),
        bytearray(size),
        (kind, size) if version == 5 else None,
        intel.SgxFacts(
            svns,
            pcesvn,
            fmspc,
            identity[:16],
            platform_instance_id=identity[16:] if ca == "platform" else None,
            sgx_type=1 if ca == "platform" else 0,
        ),
        root,
        authority,
        intel.pck(keys, authority, ca, day),
        signer,
        {
            "tcb-info": collateral.DocumentPlan("tcb-info", "tcbInfo", info, signer.key),
            "qe-identity": collateral.DocumentPlan("qe-identity", "enclaveIdentity", qe, signer.key),
        },
        intel.root_crl(root, day),
        intel.pck_crl(authority, day),
        QeReport(isvsvn=qe_isvsvn),
        intel.root(keys),
    )
    values: dict[str, int | bytes] = {
        "tee_tcb_svn": collateral.TEE_TCB_SVN,
        "mrseam": hashlib.sha384(b"simulated TDX module").digest(),
        "tdattributes": SEPT_VE_DISABLE,
        "xfam": 0x602E7,
        "mrtd": hashlib.sha384(b"simulated firmware").digest(),
        **{f"rtmr{i}": hashlib.sha384(b"simulated rtmr%d" % i).digest() for i in range(3)},
    }
    if chosen == "1.5":
        values["tee_tcb_svn2"] = fields.get("tee_tcb_svn", collateral.TEE_TCB_SVN)
    for name, value in values.items():
        made_plan.set(name, value)
    if event_log:
        made_plan.event_log = td_boot(secure_boot=bool(secure_boot))
        made_plan.set_registers()
    for name, value in fields.items():
        made_plan.set(name, value)
    if module_svn is not None:
        made_plan.set_svn({0: module_svn})
        if chosen == "1.5" and "tee_tcb_svn2" not in fields:
            made_plan.set_svn({0: module_svn}, "tee_tcb_svn2")
    return made_plan
