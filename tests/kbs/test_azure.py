"""Guests on Azure: under the paravisor a rule pins, bound by the TPM quote, by either spelling of their kind."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from attest import Endorsements
from attest.simulator import Simulator
from attest.simulator.azure import GUEST_SVN, ID_KEY, default_pcrs
from kbs.broker import Settings
from kbs.protocol import Served
from kbs.store.address import Address
from tests.kbs.conftest import ALLOWED, PATH, SECRET, Bench, make_bench
from tests.kbs.twin import TwinGuest, TwinRefused

POLICY = f"""\
policy: 1
name: azure-machines
platforms: [azure-snp]
allow-warnings: {ALLOWED}
require:
  snp: {{id-key: "{ID_KEY.hex()}", guest-svn: {{at-least: {GUEST_SVN}}}}}
  azure:
    evidence-version: {{at-least: 2}}
    pcr11: {{is: "{default_pcrs()[11].hex()}", covers: image}}
  binding: {{key: true}}
"""
INIT_DATA = 'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"aa.toml" = "x"\n'


def guest(bench: Bench, tee: str = "az-snp-vtpm", **keywords: Any) -> TwinGuest:
    def machine(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
        made = bench.simulator.moved_to(bench.clock.now).azure(
            nonce=base64.b64decode(nonce), key=key, **{"product": "genoa", **keywords}
        )
        return json.loads(made.files["simulated-az-snp-vtpm.json"]), ""

    return TwinGuest(bench.http(), machine, tee=tee)


@pytest.fixture
def azure(bench: Bench) -> Bench:
    bench.owner("acme", POLICY)
    bench.secret("acme")
    return bench


@pytest.mark.parametrize("tee", ["az-snp-vtpm", "azsnpvtpm"])
def test_a_pinned_machine_gets_the_secret(azure: Bench, tee: str) -> None:
    assert guest(azure, tee).boot(PATH) == SECRET
    assert {row["tee"] for row in azure.rows() if "tee" in row} == {"az-snp-vtpm"}


def test_t_paravisor_the_forged_one_gets_nothing(azure: Bench) -> None:
    """T-PARAVISOR: it attests, for its hardware is genuine; no rule lets it have anything."""
    forged = guest(azure, fault="azure-forged-paravisor")
    forged.auth()
    forged.attest()
    with pytest.raises(TwinRefused):
        forged.resource(PATH)
    assert {"policy.snp.id-key", "policy.azure.pcr11"} <= azure.codes()


def test_t_version_downgrade_version_1_gets_nothing(azure: Bench) -> None:
    """T-VERSION-DOWNGRADE: the broker takes version 2 unless it is told otherwise."""
    with pytest.raises(TwinRefused):
        guest(azure, version=1).boot(PATH)
    assert azure.codes() == {"kbs.evidence.version"}


def test_t_version_downgrade_an_owner_has_a_minimum_of_his_own(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> None:
    """T-VERSION-DOWNGRADE: where the broker takes version 1, the claim is there for the owner's rule."""
    lenient = Settings(served=Served(azure_evidence=1))
    for bench in make_bench(tmp_path, simulator, endorsements, empty, lenient):
        bench.owner("acme", POLICY)
        bench.secret("acme")
        with pytest.raises(TwinRefused):
            guest(bench, version=1).boot(PATH)
        assert "policy.azure.evidence-version" in bench.codes()
        with pytest.raises(TwinRefused):
            guest(bench, version=0).boot(PATH)
        assert bench.codes() == {"kbs.evidence.version"}


def test_a_plain_guest_under_that_name_is_malformed(azure: Bench) -> None:
    plain = azure.guest()
    plain.tee = "az-snp-vtpm"
    plain.auth()
    with pytest.raises(TwinRefused) as refusal:
        plain.attest()
    assert refusal.value.status in (400, 401)


def test_t_initdata_init_data_stand_in_register_8(azure: Bench) -> None:
    """T-INITDATA: the digest extended once into PCR 8; zero is unset."""
    init_data = {"init-data": {"format": "toml", "body": INIT_DATA}}
    unbound = guest(azure)
    unbound.auth()
    with pytest.raises(TwinRefused):
        unbound.attest(unbound.attestation(**init_data))
    assert azure.codes() == {"kbs.init-data.unbound"}
    digest = hashlib.sha256(INIT_DATA.encode()).digest()
    bound = guest(azure, pcrs={8: hashlib.sha256(bytes(32) + digest).digest()})
    bound.auth()
    bound.attest(bound.attestation(**init_data))
    assert bound.resource(PATH) == SECRET
