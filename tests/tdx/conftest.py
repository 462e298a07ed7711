"""The simulator of the run, and shortcuts to its TDX evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.evidence import Evidence
from attest.simulator import Simulator
from attest.simulator.tdx import TdxPlan
from attest.tdx.quote import Quote
from attest.verified import Verified
from attest.verifier import verify

Judge = Callable[..., Verified]


@pytest.fixture
def judge(simulator: Simulator, anchors: Anchors) -> Judge:
    """Verify a plan, or the quote of `quote` beside `endorsements`, at the simulator's instant."""

    def judge(
        plan: TdxPlan | None = None,
        *,
        quote: bytes | None = None,
        endorsements: Endorsements | None = None,
        **keywords: Any,
    ) -> Verified:
        if plan is not None:
            made = plan.build()
            quote, endorsements = quote or made.raw, endorsements or made.endorsements
        assert quote is not None
        assert endorsements is not None
        keywords = {"at": simulator.at, "anchors": anchors, **keywords}
        return verify(Evidence(Quote.parse(quote)), endorsements=endorsements, **keywords)

    return judge
