"""Intel's signed documents: TCB info version 3 and QE identity version 2.

Source: Intel PCS API version 4. The signed bytes are the inner object exactly as written here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from attest.claims import instant
from attest.simulator.keys import Keyring

QE_MRSIGNER = "DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5"
SGX_QE_MRSIGNER = "8C4F5775D796503E96137F77C68A829A0056AC8DED70140B081B094490C57BFF"
EVALUATION = 21

UP_TO_DATE_COMPONENTS = (8, 8, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0)
UP_TO_DATE_PCESVN = 11
MODULE_SVN = 7
QE_SVN = 8
TEE_TCB_SVN = bytes((MODULE_SVN, 1, 8)) + bytes(13)
"""Its byte 0 is below the platform level's: with a versioned module the identity judges bytes 0 and 1."""

_NOW = "2025-08-13T00:00:00Z"
_BEFORE = "2024-03-13T00:00:00Z"
_LONG_AGO = "2023-02-15T00:00:00Z"


@dataclass
class DocumentPlan:
    """kind: `tcb-info` or `qe-identity`. member: its name in the PCS answer. edit: last change to the bytes
    before they are signed; tamper: after."""

    kind: str
    member: str
    body: dict[str, Any]
    signer: str
    edit: Callable[[bytes], bytes] | None = None
    tamper: Callable[[bytes], bytes] | None = None

    def build(self, keys: Keyring) -> tuple[bytes, bytes]:
        """The exact octets as given out, and the raw signature."""
        text = json.dumps(self.body, separators=(",", ":")).encode()
        if self.edit is not None:
            text = self.edit(text)
        signature = keys.raw_ecdsa(self.signer, text, once=True)
        return (self.tamper(text) if self.tamper else text), signature


def answer(member: str, body: bytes, signature: bytes) -> bytes:
    """The PCS answer around a signed object."""
    return b'{"' + member.encode() + b'":' + body + b',"signature":"' + signature.hex().encode() + b'"}'


def level(tcb: dict[str, Any], date: str, status: str, advisories: Sequence[str] = ()) -> dict[str, Any]:
    made: dict[str, Any] = {"tcb": tcb, "tcbDate": date, "tcbStatus": status}
    if advisories:
        made["advisoryIDs"] = list(advisories)
    return made


def platform_tcb(components: Sequence[int], pcesvn: int, tdx: Sequence[int]) -> dict[str, Any]:
    def listed(svns: Sequence[int]) -> list[dict[str, Any]]:
        return [{"svn": svn} for svn in (*svns, *([0] * (16 - len(svns))))]

    return {"sgxtcbcomponents": listed(components), "pcesvn": pcesvn, "tdxtcbcomponents": listed(tdx)}


def module(number: int, levels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"TDX_{number:02X}",
        "mrsigner": "00" * 48,
        "attributes": "00" * 8,
        "attributesMask": "FF" * 8,
        "tcbLevels": levels,
    }


def tcb_info(
    at: datetime,
    fmspc: bytes,
    *,
    evaluation: int = EVALUATION,
    status: str = "UpToDate",
    advisories: Sequence[str] = (),
    module_status: str = "UpToDate",
    module_advisories: Sequence[str] = (),
) -> dict[str, Any]:
    """Four platform levels and two modules. status, module_status: of the newest levels."""
    old = ("INTEL-SA-01036", "INTEL-SA-01079", "INTEL-SA-01099")
    issued = at - timedelta(days=1)
    return {
        "id": "TDX",
        "version": 3,
        "issueDate": instant(issued),
        "nextUpdate": instant(issued + timedelta(days=30)),
        "fmspc": fmspc.hex().upper(),
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": evaluation,
        "tdxModule": {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8},
        "tdxModuleIdentities": [
            module(3, [level({"isvsvn": 3}, _NOW, "UpToDate")]),
            module(
                1,
                [
                    level({"isvsvn": MODULE_SVN}, _NOW, module_status, module_advisories),
                    level({"isvsvn": 5}, _BEFORE, "OutOfDate", ("INTEL-SA-01036", "INTEL-SA-01099")),
                    level({"isvsvn": 3}, _LONG_AGO, "OutOfDate", ("INTEL-SA-01036", "INTEL-SA-01099")),
                ],
            ),
        ],
        "tcbLevels": [
            level(
                platform_tcb(UP_TO_DATE_COMPONENTS, UP_TO_DATE_PCESVN, (9, 0, 8)), _NOW, status, advisories
            ),
            level(platform_tcb((7, 7, 2, 2, 3, 1, 0, 3), 11, (5, 0, 7)), _BEFORE, "OutOfDate", old),
            level(
                platform_tcb((6, 6, 2, 2, 3, 1, 0, 3), 11, (3, 0, 6)),
                _LONG_AGO,
                "OutOfDate",
                ("INTEL-SA-00960", *old),
            ),
            level(
                platform_tcb((6, 6, 2, 2, 3, 1, 0, 3), 5, (3, 0, 6)),
                "2018-01-04T00:00:00Z",
                "OutOfDateConfigurationNeeded",
                ("INTEL-SA-00837", "INTEL-SA-00960", *old),
            ),
        ],
    }


def qe_identity(
    at: datetime,
    *,
    evaluation: int = EVALUATION,
    status: str = "UpToDate",
    advisories: Sequence[str] = (),
) -> dict[str, Any]:
    issued = at - timedelta(days=1)
    return {
        "id": "TD_QE",
        "version": 2,
        "issueDate": instant(issued),
        "nextUpdate": instant(issued + timedelta(days=30)),
        "tcbEvaluationDataNumber": evaluation,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": QE_MRSIGNER,
        "isvprodid": 2,
        "tcbLevels": [
            level({"isvsvn": QE_SVN}, _NOW, status, advisories),
            level({"isvsvn": 4}, _BEFORE, "OutOfDate", ("INTEL-SA-01076",)),
        ],
    }
