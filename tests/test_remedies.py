"""What to do next names the option that does it, and every option named is there (a person reads this at a prompt)."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

from attest.cli.main import build_parser
from attest.policy.words import WORDS
from attest.problems import PROBLEMS

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")

NAMED = {
    "--fetch": "snp.leaf.missing snp.tcb.mismatch snp.chip-id.mismatch tdx.tcb-info.missing tdx.tcb-info.expired "
    "tdx.qe-identity.missing tdx.qe-identity.expired tdx.quote.certification-data x509.missing x509.expired "
    "x509.crl.missing x509.crl.stale x509.crl.rollback revocation-unchecked nvidia.ocsp.stale nvidia.rim.digest "
    "tdx.collateral.rollback tdx.collateral.mixed endorsement.malformed",
    "--memory": "collateral-memory-absent x509.crl.rollback tdx.collateral.rollback nvidia.ocsp.rollback "
    "bundle.rollback sources.memory",
    "--nonce": "no-freshness binding.report-data binding.domain azure.tpm.extra-data azure.report-data "
    "nonce.public-constant second-opinion.no-nonce",
    "--key": "no-freshness binding.report-data azure.report-data binding.site-key",
    "--gpu-nonce": "no-freshness binding.gpu-nonce nonce.public-constant nonce.public-sample nras.nonce",
    "--tpm-nonce": "azure.tpm.extra-data azure.report-data",
    "--simulator-root": "evidence.simulated x509.anchor nras.simulated",
    "--at": "x509.not-yet-valid x509.expired x509.crl.stale tdx.tcb-info.not-yet-valid tdx.tcb-info.expired "
    "tdx.qe-identity.expired bundle.expired bundle.not-yet-valid nras.not-yet-valid policy.clock",
    "--bundle-key": "bundle.key-missing dsse.key",
    "--param": "policy.parameter-missing",
    "--batch": "evidence.several",
    "--gpus": "collect.gpu-mode collect.gpu-library",
    "--source": "collect.no-source collect.unsupported",
    "--nras-token": "nras.malformed nras.count nras.identity nras.claims",
    "--nras-jwks": "nras.keys nras.key.unknown",
    "--renew": "sources.gone sources.stale-served nvidia.ocsp.malformed",
    "--cache": "sources.cache",
    "--pccs": "sources.unreachable sources.redirect",
}


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Of a command and of all below it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options(below)


@pytest.mark.parametrize("option", NAMED)
def test_a_remedy_at_the_command_line_names_its_option(option: str) -> None:
    for code in NAMED[option].split():
        assert option in _OPTION.findall(PROBLEMS[code].remedy), code


def test_every_option_that_is_named_is_there() -> None:
    known = set(options(build_parser()))
    said = {code: meaning.remedy for code, meaning in PROBLEMS.items()}
    said |= {key: words.fix for key, words in WORDS.items() if words.fix}
    for key, remedy in said.items():
        assert set(_OPTION.findall(remedy)) <= known, key
