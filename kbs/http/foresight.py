"""The routes that explain decisions to owners, and try policies on those of before."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from attest.claims import instant
from kbs.foresight import DryRun, Foresight

Session = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


class Trial(BaseModel):
    """days: how far back."""

    model_config = ConfigDict(extra="forbid", strict=True)
    owner: str = Field(max_length=63)
    path: str = Field(max_length=400)
    policy: str
    days: int = Field(default=7, ge=1, le=3650)


def add_routes(routes: APIRouter, foresight: Foresight) -> None:
    @routes.get("/why/{what}")
    def why(
        what: Annotated[str, Path(pattern=r"^([0-9a-f]{16}|[0-9a-f]{64})$")],
        path: Annotated[str | None, Query(max_length=400)] = None,
        every: bool = False,
    ) -> dict[str, Any]:
        return {"decisions": foresight.why(what, path, every=every)}

    @routes.post("/rules/dry-run")
    def dry_run(trial: Trial) -> dict[str, Any]:
        return _dry_run(foresight.dry_run(trial.owner, trial.path, trial.policy, trial.days))

    @routes.get("/evidence/{session}")
    def evidence(session: Session) -> dict[str, Any]:
        row, body = foresight.evidence(session)
        return {"row": row, "attestation": base64.b64encode(body).decode()}


def _dry_run(run: DryRun) -> dict[str, Any]:
    return {
        "since": instant(run.since),
        "decisions": run.decisions,
        "unknown": run.unknown,
        "more": run.more,
        "otherwise": [
            {
                "row": one.row,
                "at": one.at,
                "session": one.session,
                "path": one.path,
                "was": one.was,
                "would": one.would,
                "sentence": one.sentence,
            }
            for one in run.otherwise
        ],
    }
