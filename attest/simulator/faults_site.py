"""Faults of a site's evidence: whose it is, what it was made for, how old its GPUs are."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

from attest.binding import LOCAL_TAG, report_data
from attest.simulator.fault import FaultTable
from attest.simulator.site import SitePlan, site_key, with_origin
from attest.site import SiteStatement

SITE_FAULTS = FaultTable("site")
_fault = SITE_FAULTS
_REPORT_DATA = "binding.report-data"
_OTHER = "https://evil.example"


@_fault("relayed", "3 origins", "a site shows another site's machine as its own", "binding.origin")
def _(plan: SitePlan) -> None:
    plan.statement = plan.bound = with_origin(plan.bound, _OTHER)


@_fault("origin-added", "3 origins", "an origin was written in after the CPU signed", _REPORT_DATA)
def _(plan: SitePlan) -> None:
    plan.bound = with_origin(plan.bound, _OTHER)


@_fault(
    "broker-layout", "3 domains", "evidence made for a key broker is shown to a browser", f"binding.domain {_REPORT_DATA}"
)  # fmt: skip
def _(plan: SitePlan) -> None:
    plan.report_data = lambda bound, nonce, text: report_data(nonce, bound.key, text)


@_fault(
    "local-layout", "3 domains", "evidence of the local evidence API is shown to a browser", f"binding.domain {_REPORT_DATA}"
)  # fmt: skip
def _(plan: SitePlan) -> None:
    def local(bound: SiteStatement, nonce: str, text: str) -> bytes:
        return (bound.report_data(nonce, text)[:48] + LOCAL_TAG).ljust(64, b"\0")

    plan.report_data = local


@_fault("replayed", "3 nonce", "the evidence answers another client", _REPORT_DATA)
def _(plan: SitePlan) -> None:
    plan.nonce = hashlib.sha256(b"another client").digest()


@_fault(
    "key-swapped",
    "3 key",
    "another key is shown than the CPU and its GPUs cover",
    f"{_REPORT_DATA} binding.gpu-nonce binding.site-key",
)
def _(plan: SitePlan) -> None:
    plan.statement = replace(plan.statement, key=site_key(seed=b"another"))


@_fault(
    "key-of-another", "3 key", "the machine is honest, its key is not the one expected", "binding.site-key"
)
def _(plan: SitePlan) -> None:
    plan.statement = plan.bound = replace(plan.bound, key=site_key(seed=b"another"))


@_fault(
    "use-changed",
    "3 fleet",
    "a fleet's key is shown as one machine's own",
    f"{_REPORT_DATA} binding.gpu-nonce",
)
def _(plan: SitePlan) -> None:
    fleet = site_key("fleet", "sha384:" + "ab" * 48)
    plan.bound = replace(plan.bound, key=fleet)


@_fault("epoch-ahead", "3 epoch", "the GPU evidence is dated in the future", "binding.epoch")
def _(plan: SitePlan) -> None:
    plan.statement = plan.bound = replace(plan.bound, epoch_time=plan.at + timedelta(minutes=5))


@_fault("epoch-renewed", "3 epoch", "old GPU evidence is dated anew after the CPU signed", _REPORT_DATA)
def _(plan: SitePlan) -> None:
    plan.bound = replace(plan.bound, epoch_time=plan.at - timedelta(hours=1))


@_fault("epoch-old", "3 epoch", "the GPUs were asked an hour ago", claims={"evidence-age": "3600s"})
def _(plan: SitePlan) -> None:
    plan.statement = plan.bound = replace(plan.bound, epoch_time=plan.at - timedelta(hours=1))


@_fault("gpu-of-another-epoch", "3 epoch", "the GPUs answer another epoch", "binding.gpu-nonce")
def _(plan: SitePlan) -> None:
    plan.asked = hashlib.sha256(b"another epoch").digest()
