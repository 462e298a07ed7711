"""What a token says, as Trustee's brokers and policies read it: names, forms, and the key they encrypt to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attest import Endorsements, Policy
from attest.simulator import Simulator
from kbs.broker import Settings
from kbs.store.address import Address
from kbs.token import TokenTerms
from tests.kbs.conftest import MEASUREMENT, SNP_POLICY, Bench, make_bench
from tests.kbs.test_azure import guest as azure_guest
from tests.kbs.twin import TwinGuest, unb64

EVIDENCE = "ear.veraison.annotated-evidence"
PINNED = f"""\
policy: 1
name: tokens
platforms: [snp]
require:
  snp: {{measurement: {{is: "{MEASUREMENT}", covers: image}}}}
  gpu: {{count: {{at-least: 0}}}}
"""


def payload_of(token: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(unb64(token.split(".")[1]))
    return payload


def attested(guest: TwinGuest) -> dict[str, Any]:
    guest.auth()
    return payload_of(guest.attest())


def tee_pubkey(payload: Any) -> Any:
    """As Trustee's broker finds it: by the pointer, and nothing is verified on the way."""
    for step in ("submods", "cpu0", EVIDENCE, "runtime_data_claims", "tee-pubkey"):
        payload = payload[step]
    return payload


def test_the_token_has_trustees_shape(bench: Bench) -> None:
    guest = bench.guest()
    payload = attested(guest)
    assert payload["eat_profile"] == "tag:github.com,2024:confidential-containers/Trustee"
    assert set(payload["submods"]) == {"cpu0", "gpu0"}
    for part in payload["submods"].values():
        assert part["ear.status"] == "warning"  # by the defaults nobody's workload is pinned
        assert set(part["ear.trustworthiness-vector"]) == {
            "instance-identity",
            "configuration",
            "executables",
            "file-system",
            "hardware",
            "runtime-opaque",
            "storage-opaque",
            "sourced-data",
        }
        assert part["ear.appraisal-policy-id"].startswith("defaults@sha384:")
    assert payload["iss"] == "kbs"
    assert all(isinstance(payload[name], int) for name in ("iat", "nbf", "exp"))


def test_the_token_is_bound_to_the_attested_key(bench: Bench) -> None:
    guest = bench.guest()
    payload = attested(guest)
    assert tee_pubkey(payload) == guest.key.jwk
    runtime = payload["submods"]["cpu0"][EVIDENCE]["runtime_data_claims"]
    assert runtime["nonce"] == guest.nonce
    text = json.loads(guest.body)["tee-evidence"]["additional_evidence"]
    assert runtime["additional-evidence-sha384"] == hashlib.sha384(text.encode()).hexdigest()


def test_snp_claims_have_the_names_and_forms_of_trustees_policies(bench: Bench) -> None:
    guest = bench.guest(gpus=0, product="genoa", policy=0x30000 | 1 << 20, host_data=b"\x07" * 32)
    said = attested(guest)["submods"]["cpu0"][EVIDENCE]
    report = json.loads(guest.body)["tee-evidence"]["primary_evidence"]["attestation_report"]
    tcb = {
        f"reported_tcb_{name}": report["reported_tcb"][name]
        for name in ("bootloader", "tee", "snp", "microcode")
    }
    assert said["snp"] == {
        "policy_abi_major": 0,
        "policy_abi_minor": 0,
        "policy_smt_allowed": True,
        "policy_migrate_ma": False,
        "policy_debug_allowed": False,
        "policy_single_socket": True,
        **tcb,
        "platform_tsme_enabled": False,
        "platform_smt_enabled": True,
        "measurement": bytes(report["measurement"]).hex(),
        "chip_id": bytes(report["chip_id"]).hex(),
    }
    assert said["report_data"] == bytes(report["report_data"]).hex()
    assert said["init_data"] == "07" * 32
    assert said["init_data_claims"] is None


def test_tdx_claims_have_the_names_and_forms_of_trustees_policies(bench: Bench) -> None:
    import base64

    guest = bench.guest(cpu="tdx", gpus=0)
    said = attested(guest)["submods"]["cpu0"][EVIDENCE]
    quote = base64.b64decode(json.loads(guest.body)["tee-evidence"]["primary_evidence"]["quote"])
    start = 54 if quote[0] == 5 else 48  # Intel TDX DCAP: quote versions 5 and 4
    body = quote[start:]
    shown = said["tdx"]["quote"]["body"]
    at = {"tcb_svn": (0, 16), "mr_seam": (16, 48), "mrsigner_seam": (64, 48), "seam_attributes": (112, 8)}
    at |= {"td_attributes": (120, 8), "xfam": (128, 8), "mr_td": (136, 48), "mr_config_id": (184, 48)}
    at |= {"mr_owner": (232, 48), "mr_owner_config": (280, 48), "report_data": (520, 64)}
    at |= {f"rtmr_{index}": (328 + 48 * index, 48) for index in range(4)}
    for name, (offset, size) in at.items():
        assert shown[name] == body[offset : offset + size].hex(), name
    header = said["tdx"]["quote"]["header"]
    assert header["version"] == quote[0:2].hex()
    assert (header["att_key_type"], header["tee_type"]) == ("0200", "81000000")
    assert (header["vendor_id"], header["user_data"]) == (quote[12:28].hex(), quote[28:48].hex())
    assert said["tdx"]["td_attributes"]["debug"] is False
    assert said["tdx"]["tcb_status"] == "UpToDate"
    assert isinstance(said["tdx"]["tcb_eval_num"], int)
    assert said["tdx"]["collateral_expiration_status"] == "0"
    assert said["report_data"] == shown["report_data"]


def test_a_device_shows_its_versions_and_no_evidence(bench: Bench) -> None:
    payload = attested(bench.guest(gpus=2))
    for name in ("gpu0", "gpu1"):
        said = payload["submods"][name][EVIDENCE]
        assert said["nvidia"]["arch"] == "Hopper"
        assert said["nvidia"]["config"]["driver_version"] == said["attest"]["driver"]
    identities = {payload["submods"][name][EVIDENCE]["nvidia"]["uuid"] for name in ("gpu0", "gpu1")}
    assert len(identities) == 2


def test_a_machine_that_the_policy_for_tokens_refuses_gives_its_key_to_nobody(bench: Bench) -> None:
    guest = bench.guest(gpus=0, policy=0x30000 | 1 << 19)  # debug
    payload = attested(guest)
    assert payload["submods"]["cpu0"]["ear.status"] == "contraindicated"
    assert "tee-pubkey" not in payload["submods"]["cpu0"][EVIDENCE]["runtime_data_claims"]


def test_t_paravisor_an_azure_machine_is_not_shown_as_a_plain_one(bench: Bench) -> None:
    said = attested(azure_guest(bench))["submods"]["cpu0"][EVIDENCE]
    assert "snp" not in said
    assert "attest" not in said
    assert "tpm" not in said["az-snp-vtpm"]


def test_a_whole_node_fits_into_a_header(bench: Bench) -> None:
    guest = bench.guest(gpus=8, switches=4, mode="ppcie", driver="590.48.01")
    guest.auth()
    token = guest.attest()
    assert len(token) < 32 << 10


@pytest.fixture
def pinned(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> Iterator[Bench]:
    terms = TokenTerms("https://kbs.example", None, Policy.from_text(PINNED, where="tokens"))
    yield from make_bench(tmp_path, simulator, endorsements, empty, Settings(tokens=terms))


def test_the_operators_policy_for_tokens_judges_their_status(pinned: Bench) -> None:
    payload = attested(pinned.guest(gpus=0))
    assert payload["iss"] == "https://kbs.example"
    assert "aud" not in payload
    part = payload["submods"]["cpu0"]
    assert part["ear.appraisal-policy-id"].startswith("tokens@sha384:")
    assert part["ear.trustworthiness-vector"]["executables"] == 3
    other = attested(pinned.guest(gpus=0, measurement=bytes(48)))
    assert other["submods"]["cpu0"]["ear.status"] == "contraindicated"


def test_the_status_in_a_token_releases_nothing(pinned: Bench) -> None:
    pinned.owner(
        "acme", SNP_POLICY.replace(MEASUREMENT, "00" * 48).replace("  gpu: {count: {at-least: 1}}\n", "")
    )
    pinned.secret("acme")
    guest = pinned.guest(gpus=0)
    guest.auth()
    token = guest.attest()
    answer = pinned.http().get(
        "/kbs/v0/resource/acme/key/model", headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403
