"""The peers, each a child process that answers JSON lines: what it says of a case, and why.

A child that ends or does not answer in time is started again, and the case counts as `crashed`.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from attest.nvidia.second_opinion.question import Question
from attest.nvidia.second_opinion.runner import Peer as NvidiaChild
from attest.nvidia.second_opinion.runner import Unavailable
from tests.conftest import ROOT
from tests.differential.cases import Case
from tests.differential.ours import collateral

BUILD = ROOT / "build" / "peers"
_HERE = Path(__file__).parent
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}
TIMEOUT = 30.0


@dataclass(frozen=True)
class Theirs:
    """why: untrusted text, empty where it accepts. detail: as ours, where the peer has one."""

    accepts: bool
    detail: str = ""
    why: str = ""


class Asked(Protocol):
    version: str

    def ask(self, case: Case) -> Theirs: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Peer:
    """name: as on the page. platform: whose cases it reads. share: of the mutations, in percent. program: what
    must be installed. start: a conversation with a new child. through: the cases it judges to the end; three
    of four mutations are of these, so that they do not all end at one and the same refusal."""

    name: str
    platform: str
    share: int
    program: Path
    start: Callable[[], Asked]
    through: Callable[[Case], bool] = lambda case: True

    @property
    def installed(self) -> bool:
        return self.program.exists()


class Lines:
    """A child that reads {"at", "files"} and answers {"accepts", "detail", "why"}, one a line."""

    def __init__(self, command: list[str], files: Callable[[Case], Mapping[str, bytes]]) -> None:
        self._command, self._files = command, files
        self._child: subprocess.Popen[bytes] | None = None
        self._kept = b""
        self.version = ""
        self._start()

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, case: Case) -> Theirs:
        files = dict(self._files(case))
        if case.trusted_root:
            files["trusted_root"] = case.trusted_root
        question = {
            "at": case.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "files": {role: data.hex() for role, data in files.items()},
        }
        if self._child is None:
            self._start()
        child = self._child
        assert child is not None
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(question).encode() + b"\n")
            child.stdin.flush()
            answer = self._hear()
        except (OSError, ValueError) as error:
            self.close()
            return Theirs(False, why=f"crashed: {error}")
        return Theirs(answer["accepts"], answer["detail"], answer["why"])

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _start(self) -> None:
        self._kept = b""
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
        )
        self.version = self._hear()["ready"]

    def _hear(self) -> dict[str, Any]:
        assert self._child is not None
        assert self._child.stdout is not None
        stream = self._child.stdout.fileno()
        while b"\n" not in self._kept:
            if not select.select([stream], [], [], TIMEOUT)[0]:
                raise ValueError(f"no answer in {TIMEOUT:.0f} s")
            more = os.read(stream, 1 << 16)
            if not more:
                raise ValueError("it ended")
            self._kept += more
        line, _, self._kept = self._kept.partition(b"\n")
        document = json.loads(line)
        assert isinstance(document, dict)
        return document


class Nvidia:
    """NVIDIA's local verifier, in the process that second opinions use. A step that it cannot take for want of
    a manifest or of a network is no refusal; a step that failed is."""

    def __init__(self) -> None:
        self._child = NvidiaChild(NVIDIA_PYTHON)
        self.version = "nv-local-gpu-verifier, nv-attestation-sdk"

    def ask(self, case: Case) -> Theirs:
        chain = [case.parts[name] for name in sorted(case.parts) if name.startswith("certificate.")]
        leaf = case.parts.get("certificate.0", b"")
        # The architecture chooses their settings; the report does not say it.
        arch = "ls10" if case.section == "switch" else "blackwell" if b"GB100" in leaf else "hopper"
        question = Question(
            "switch" if case.section == "switch" else "gpu",
            arch,
            case.parts["report"],
            tuple(chain),
            case.nonce,
            case.at,
            {name.removeprefix("rim."): data for name, data in case.parts.items() if name.startswith("rim.")},
        )
        try:
            answer = self._child.ask(question)
        except Unavailable as error:
            self._child.close()
            return Theirs(False, why=f"crashed: {error.problems[0].found}")
        self.version = self._child.version
        failed = [f"{name}: {step.why}" for name, step in answer.steps.items() if step.outcome == "failed"]
        return Theirs(not failed, why="; ".join(failed))

    def close(self) -> None:
        self._child.close()


GO = BUILD / "go"
DCAP_QVL_PYTHON = BUILD / "dcap-qvl" / "bin" / "python"
NVIDIA_PYTHON = BUILD / "nvidia" / "bin" / "python"


def _pcs(case: Case) -> dict[str, bytes]:
    """As Intel's service answers: the signed object with its signature, the chain in a header."""
    parts = case.parts
    bodies = {
        name: b'{"%s":%s,"signature":"%s"}' % (member, parts[name], parts[f"{name}_signature"].hex().encode())
        for name, member in (("tcb_info", b"tcbInfo"), ("qe_identity", b"enclaveIdentity"))
    }
    return bodies | {
        "quote": parts["quote"],
        "tcb_info_chain": parts["tcb_info_issuer_chain"],
        "qe_identity_chain": parts["qe_identity_issuer_chain"],
        "pck_crl_chain": parts["pck_crl_issuer_chain"],
        "pck_crl": parts["pck_crl"],
        "root_crl": parts["root_ca_crl"],
    }


def _dcap_qvl(case: Case) -> dict[str, bytes]:
    return {"quote": case.parts["quote"], "collateral": json.dumps(collateral(case)).encode()}


def _version_4_lower_case(case: Case) -> bool:
    fmspc = re.search(rb'"fmspc":"([^"]*)"', case.parts["tcb_info"])
    return case.parts["quote"][0] == 4 and fmspc is not None and fmspc[1] == fmspc[1].lower()


def _with_manifests(case: Case) -> bool:
    return any(part.startswith("rim.") for part in case.parts)


PEERS = (
    Peer(
        "go-sev-guest",
        "snp",
        30,
        GO / "judgesnp",
        lambda: Lines([str(GO / "judgesnp")], lambda case: case.parts),
        lambda case: "vcek" in case.parts,
    ),
    Peer(
        "go-tdx-guest",
        "tdx",
        25,
        GO / "judgetdx",
        lambda: Lines([str(GO / "judgetdx")], _pcs),
        _version_4_lower_case,
    ),
    Peer(
        "dcap-qvl",
        "tdx",
        30,
        DCAP_QVL_PYTHON,
        lambda: Lines([str(DCAP_QVL_PYTHON), "-I", "-B", str(_HERE / "dcap_qvl_child.py")], _dcap_qvl),
    ),
    Peer("nvidia", "nvidia", 15, NVIDIA_PYTHON, Nvidia, _with_manifests),
)
