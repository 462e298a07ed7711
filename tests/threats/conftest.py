"""Claim trees as the tests of policies make them."""

from __future__ import annotations

from tests.policy.conftest import judge

__all__ = ["judge"]
