"""Faults of Intel's collateral and of TCB levels, by the number of the check that must refuse each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from attest.claims import instant
from attest.simulator import collateral, intel
from attest.simulator.certificates import authority_key_id, name, subject_key_id
from attest.simulator.faults_tdx import TDX_FAULTS
from attest.simulator.tdx import TdxPlan

_fault = TDX_FAULTS
_DAY = timedelta(days=1)
_UNREADABLE = "endorsement.malformed"


def _replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(text: bytes) -> bytes:
        if old not in text:
            raise RuntimeError(f"the document has no {old!r}")
        return text.replace(old, new, 1)

    return edit


# -- 3: both documents ------------------------------------------------------------------------------------------


def _document(kind: str) -> None:
    @_fault(f"{kind}-missing", "12.3 document", f"no {kind} is given", f"tdx.{kind}.missing")
    def _(plan: TdxPlan) -> None:
        del plan.documents[kind]

    @_fault(f"{kind}-altered", "12.3 signature", "one digit changed after signing", f"tdx.{kind}.signature")
    def _(plan: TdxPlan) -> None:
        number = b'"tcbEvaluationDataNumber":'
        plan.documents[kind].tamper = _replace(number + b"2", number + b"3")

    @_fault(f"{kind}-respaced", "12.3 signature", "the same JSON with a space", f"tdx.{kind}.signature")
    def _(plan: TdxPlan) -> None:
        plan.documents[kind].tamper = _replace(b'":', b'": ')

    @_fault(f"{kind}-signed-by-pck", "12.3 signature", "the PCK key signed it", f"tdx.{kind}.signature")
    def _(plan: TdxPlan) -> None:
        plan.documents[kind].signer = plan.pck.key

    @_fault(f"{kind}-expired", "12.3 dates", "nextUpdate was yesterday", f"tdx.{kind}.expired")
    def _(plan: TdxPlan) -> None:
        plan.documents[kind].body["issueDate"] = instant(plan.at - 31 * _DAY)
        plan.documents[kind].body["nextUpdate"] = instant(plan.at - _DAY)

    @_fault(f"{kind}-from-tomorrow", "12.3 dates", "issueDate is tomorrow", f"tdx.{kind}.not-yet-valid")
    def _(plan: TdxPlan) -> None:
        plan.documents[kind].body["issueDate"] = instant(plan.at + _DAY)

    @_fault(f"{kind}-version", "12.3 ids", "another version", _UNREADABLE)
    def _(plan: TdxPlan) -> None:
        plan.documents[kind].body["version"] += 1

    @_fault(f"{kind}-of-sgx", "12.3 ids", "the document of SGX", _UNREADABLE)
    def _(plan: TdxPlan) -> None:
        plan.documents[kind].body["id"] = "SGX" if kind == "tcb-info" else "QE"

    @_fault(f"{kind}-key-doubled", "12.3 JSON", "a member stands twice, well signed", "evidence.malformed")
    def _(plan: TdxPlan) -> None:
        plan.documents[kind].edit = _replace(b'{"id":', b'{"id":"TDX","id":')

    @_fault(f"{kind}-level-doubled", "12.8 levels", "a level stands twice", _UNREADABLE)
    def _(plan: TdxPlan) -> None:
        levels = plan.documents[kind].body["tcbLevels"]
        levels.append({**levels[0], "tcbStatus": "Revoked"})


_document("tcb-info")
_document("qe-identity")


@_fault("evaluations-differ", "12.3 evaluation", "TCB info and QE identity of different numbers",
        warnings="tdx.collateral.mixed")  # fmt: skip
def _(plan: TdxPlan) -> None:
    plan.qe_identity["tcbEvaluationDataNumber"] -= 1


@_fault("tcb-signer-expired", "12.3 signer", "the TCB signer ended yesterday", "x509.expired")
def _(plan: TdxPlan) -> None:
    plan.tcb_signer.not_after = plan.at - _DAY


@_fault("tcb-signer-signed-by-another", "12.3 signer", "another key signed the TCB signer", "x509.signature")
def _(plan: TdxPlan) -> None:
    plan.tcb_signer.signer = "p256/stranger"


@_fault("tcb-signer-name", "12.3 signer", "the signer is called otherwise", "x509.name")
def _(plan: TdxPlan) -> None:
    plan.tcb_signer.subject = name("CN=Intel SGX Quote Signing,O=Intel Corporation,L=Santa Clara,ST=CA,C=US")


@_fault("tcb-signer-self-made", "12.3 signer", "collateral under a root of one's own with Intel's names",
        "x509.anchor")  # fmt: skip
def _(plan: TdxPlan) -> None:
    root = plan.collateral_root
    root.subject = root.issuer = name("CN=Intel SGX Root CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US")
    root.key = root.signer = plan.tcb_signer.signer = "p256/stranger-root"
    plan.tcb_signer.issuer = root.subject
    for certificate in (root, plan.tcb_signer):
        certificate.put(authority_key_id(plan.keys.identifier(root.key)))
    root.put(subject_key_id(plan.keys.identifier(root.key)))


@_fault("tcb-signer-is-pck", "12.3 signer", "a PCK certificate's key signed both documents",
        "x509.anchor", )  # fmt: skip
def _(plan: TdxPlan) -> None:
    plan.tcb_signer = intel.pck(plan.keys, plan.ca, "platform", plan.at)
    for document in plan.documents.values():
        document.signer = plan.pck.key


# -- 8: levels --------------------------------------------------------------------------------------------------


@_fault("fmspc", "12.8 FMSPC", "the TCB info is of another platform family", "tdx.tcb-info.fmspc")
def _(plan: TdxPlan) -> None:
    plan.tcb_info["fmspc"] = "90C06F000000"


@_fault("pceid", "12.8 PCEID", "the TCB info is of another PCE", "tdx.tcb-info.pce-id")
def _(plan: TdxPlan) -> None:
    plan.tcb_info["pceId"] = "0001"


@_fault("components-15", "12.8 levels", "a level lists fifteen components", _UNREADABLE)
def _(plan: TdxPlan) -> None:
    plan.tcb_info["tcbLevels"][0]["tcb"]["sgxtcbcomponents"].pop()


@_fault("unknown-status", "12.8 status", "a status nobody knows", "tdx.tcb.unknown-status")
def _(plan: TdxPlan) -> None:
    plan.tcb_info["tcbLevels"][0]["tcbStatus"] = "Splendid"


@_fault(
    "no-level", "12.8 level", "SGX component 0 is below every level", "tdx.tcb.no-level", components={0: 5}
)
def _(plan: TdxPlan) -> None:
    pass


@_fault("no-level-pcesvn", "12.8 level", "PCESVN is below every level", "tdx.tcb.no-level", pcesvn=4)
def _(plan: TdxPlan) -> None:
    pass


@_fault("no-level-tdx", "12.8 level", "TDX component 2 is below every level", "tdx.tcb.no-level")
def _(plan: TdxPlan) -> None:
    plan.set_svn({2: 5})


@_fault("level-revoked", "12.8 status", "the matched level is Revoked", "tdx.tcb.revoked")
def _(plan: TdxPlan) -> None:
    plan.tcb_info["tcbLevels"][0]["tcbStatus"] = "Revoked"


@_fault("module-revoked", "12.8 module", "the module's level is Revoked", "tdx.tcb.revoked",
        module_status="Revoked")  # fmt: skip
def _(plan: TdxPlan) -> None:
    pass


@_fault("qe-revoked", "12.8 QE", "the QE's level is Revoked", "tdx.tcb.revoked", qe_status="Revoked")
def _(plan: TdxPlan) -> None:
    pass


@_fault("module-unknown", "12.8 module", "a module of major version 9", "tdx.module.unknown")
def _(plan: TdxPlan) -> None:
    plan.set_svn({1: 9})


@_fault(
    "module-too-old", "12.8 module", "the module is below every level", "tdx.module.unknown", module_svn=2
)
def _(plan: TdxPlan) -> None:
    pass


def _status(name_: str, breaks: str, status: str, **keywords: Any) -> None:
    @_fault(name_, "12.8 status", breaks, claims={"tcb-status": status}, **keywords)
    def _(plan: TdxPlan) -> None:
        pass


_status("out-of-date", "SGX component 1 is one too low", "OutOfDate", components={1: 7})
_status("pcesvn-out-of-date", "PCESVN is one too low", "OutOfDateConfigurationNeeded", pcesvn=10)
_status("module-out-of-date", "the module is 5, wanted 7", "OutOfDate", module_svn=5)
_status("configuration-needed", "the platform needs configuration", "ConfigurationNeeded",
        tcb_status="ConfigurationNeeded", advisories=("INTEL-SA-00837",))  # fmt: skip
_status("hardening-needed", "guests need hardening", "SWHardeningNeeded",
        tcb_status="SWHardeningNeeded", advisories=("INTEL-SA-00837",))  # fmt: skip
_status("module-behind-configuration", "an old module on a platform that needs configuration",
        "OutOfDateConfigurationNeeded", tcb_status="ConfigurationNeeded", module_svn=5)  # fmt: skip


@_fault("tdx-component-2", "12.8 level", "TDX component 2 is one too low", claims={"tcb-status": "OutOfDate"})
def _(plan: TdxPlan) -> None:
    plan.set_svn({2: 7})


@_fault("relaunch", "12.8 relaunch", "the host was updated, the TD still runs under the old module",
        claims={"tcb-status": "TDRelaunchAdvised"}, version=5, module_svn=5,
        tee_tcb_svn2=collateral.TEE_TCB_SVN)  # fmt: skip
def _(plan: TdxPlan) -> None:
    pass


@_fault("relaunch-module-unknown", "12.8 relaunch", "the module running now is of major version 9",
        "tdx.module.unknown", version=5, module_svn=5, tee_tcb_svn2=bytes((7, 9, 8)))  # fmt: skip
def _(plan: TdxPlan) -> None:
    pass


@_fault("levels-unsorted", "12.8 order", "levels in reverse order: the newest still counts",
        claims={"tcb-status": "OutOfDate"}, components={1: 7})  # fmt: skip
def _(plan: TdxPlan) -> None:
    plan.tcb_info["tcbLevels"].reverse()


@_fault("unversioned-module", "12.8 components 0 and 1", "a module without version is judged by component 0",
        claims={"tcb-status": "OutOfDate"})  # fmt: skip
def _(plan: TdxPlan) -> None:
    plan.set_svn({0: 5, 1: 0})
