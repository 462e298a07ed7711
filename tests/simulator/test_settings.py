"""FIELD=VALUE: every field of every kind has a form, and text that is not of it makes nothing."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest.simulator import Simulator, azure, fabric, gpu, nras, snp, switch, tdx
from attest.simulator.settings import assigned, fields_of, read_settings

KINDS = ("snp", "tdx", "azure", "gpu", "switch", "fabric", "nras", "machine", "site")
GIVEN_OTHERWISE = {"keys", "made", "at", "nonce", "key", "fault", "fields", "hardware", "gpu", "switch", "self",
                   "cpu_keywords", "gpu_keywords"}  # fmt: skip
NO_OTHER = {"nonce": "use --nonce"}


def read(kind: str, *texts: str, **more: Any) -> dict[str, Any]:
    return read_settings(kind, assigned(texts), elsewhere=NO_OTHER, option="--set ", **more)


@pytest.mark.parametrize(
    ("kind", "call", "more"),
    [
        ("snp", snp.plan, set(snp.FIELDS)),
        ("tdx", tdx.plan, {*tdx.BODY, *tdx.ALIASES}),
        ("gpu", gpu.plan, set()),
        ("switch", switch.plan, set()),
        ("fabric", fabric.plan, set()),
        ("nras", nras.plan, set()),
        ("azure", azure.plan, set(fields_of("snp"))),
        ("site", Simulator.site, set(fields_of("snp"))),
        ("machine", Simulator.machine, {*fields_of("snp"), *fields_of("gpu")} - {"index"}),
    ],
)
def test_the_fields_are_those_that_the_simulator_has(kind: str, call: Any, more: set[str]) -> None:
    taken = set(inspect.signature(call).parameters) - GIVEN_OTHERWISE
    assert set(fields_of(kind)) == taken | more


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("machine", "policy.debug=1", "policy has no part debug; it takes a number from 0 to 18446744073709551615"),
        ("machine", "measurement.x=1", "measurement has no part x; it takes hex: and 48 bytes"),
        ("snp", "policy.debug=1", "policy has no part debug"),
        ("snp", "vmpl.x=1", "vmpl has no part x; it takes a number from 0 to 4294967295"),
        ("snp", "vmpl=x", "vmpl takes a number from 0 to 4294967295, or hex: and 4 bytes"),
        ("snp", "measurement=hex:aa", "measurement takes hex: and 48 bytes"),
        ("snp", "measurement=1", "measurement takes hex: and 48 bytes"),
        ("snp", "tcb=1", "tcb takes a number from 0 to 255 for one of its parts (bootloader, tee, snp, microcode, fmc)"),
        ("snp", "tcb.spn=1", "tcb has no part spn"),
        ("snp", "colour=red", "snp has no field colour. It has author_key_digest, "),
        ("snp", "vmlp=1", 'Did you mean "vmpl"?'),
        ("snp", "nonce=1", "use --nonce"),
        ("machine", "gpus=-1", "gpus takes a number from 0 to 64"),
        ("machine", "gpus=two", "gpus takes a number from 0 to 64"),
        ("machine", "cpu=sgx", "cpu takes one of snp, tdx"),
        ("machine", "driver=abc", "driver takes numbers with dots, as 550.90.07"),
        ("machine", "vbios=96", "vbios takes five hex bytes with dots"),
        ("machine", "measurements.64=hex:00", "measurements has no part 64"),
        ("site", "origin=foo", "origin takes an origin, as https://host"),
        ("azure", "secure_boot=no", "secure_boot takes true or false"),
        ("azure", "pcrs.4=7", "pcrs.4 takes hex: and 32 bytes"),
        ("tdx", "tcb_status=Good", "tcb_status takes one of UpToDate, "),
        ("tdx", "components.16=1", "components has no part 16"),
        ("snp", "vmpl", "FIELD=VALUE"),
        ("snp", "=1", "FIELD=VALUE"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_by_name_and_form(kind: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as refusal:
        read(kind, text)
    assert str(refusal.value).startswith("--set ")
    assert len(str(refusal.value).splitlines()) == 1


def test_a_field_once_whole_or_in_parts() -> None:
    for texts in (("vmpl=1", "vmpl=2"), ("reported_tcb=1", "reported_tcb.snp=2"), ("tcb.snp=1", "tcb.snp=1")):
        with pytest.raises(ValueError, match="given"):
            read("snp", *texts)


def test_values_are_what_the_simulator_takes() -> None:
    assert read("machine", "tcb.snp=0x14", "tcb.tee=1", "host-data=hex:" + "0f" * 32, "gpus=2", "measurements.3=hex:" + "00" * 48) == {
        "tcb": {"snp": 20, "tee": 1},
        "host_data": b"\x0f" * 32,
        "gpus": 2,
        "measurements": {3: bytes(48)},
    }  # fmt: skip
    assert read("azure", "kind=tdx", "secure-boot=false", "module_svn=5") == {
        "kind": "tdx", "secure_boot": False, "module_svn": 5,
    }  # fmt: skip
    assert read("machine", "module_svn=5", cpu="tdx") == {"module_svn": 5}
    with pytest.raises(ValueError, match="machine has no field module_svn"):
        read("machine", "module_svn=5")
    assert read("tdx", "advisories=INTEL-SA-00837,INTEL-SA-01036") == {
        "advisories": ("INTEL-SA-00837", "INTEL-SA-01036")
    }


@pytest.mark.parametrize("text", ["false", "true"])
def test_false_is_false(simulator: Simulator, text: str) -> None:
    """Text that is not empty would have counted as true."""
    keywords = read("azure", f"secure_boot={text}")
    assert f'"secure-boot":{text}'.encode() in simulator.azure(nonce=bytes(range(32)), **keywords).raw


_VALUES = st.one_of(
    st.sampled_from(["0", "1", "0x10", "255", "256", "-1", "true", "false", "hex:", "hex:00", "", "1.0", "snp", "tdx",
                     "550.90.07", "96.00.9F.00.01", "hex:" + "11" * 48, "hex:" + "22" * 32, "milan", "turin",
                     "https://a.example", "UpToDate", "INTEL-SA-1", "4", "5", "blackwell", "ppcie"]),
    st.text(max_size=8),
)  # fmt: skip


@given(kind=st.sampled_from([kind for kind in KINDS if kind != "nras"]), data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_makes_evidence_or_a_sentence(simulator: Simulator, kind: str, data: st.DataObject) -> None:
    fields = fields_of(kind)
    name = data.draw(st.sampled_from(sorted(fields)))
    parts = fields[name].parts or {}
    part = data.draw(st.sampled_from(["", *(f".{key}" for key in list(parts)[:3]), ".x"]))
    value = data.draw(_VALUES)
    try:
        keywords = read(kind, f"{name}{part}={value}")
        if kind in ("azure", "machine", "site"):
            keywords["nonce"] = bytes(range(32))
        for bound in ("report_data", "reportdata"):
            if kind not in ("snp", "tdx"):
                keywords.pop(bound, None)
        keywords["gpus"] = min(keywords["gpus"], 1) if "gpus" in keywords else keywords.get("gpus")
        keywords = {key: one for key, one in keywords.items() if one is not None}
        getattr(simulator, kind)(**keywords)
    except ValueError as error:
        assert not str(error).startswith(("invalid literal", "non-hexadecimal", "byte must"))


@pytest.mark.parametrize(
    ("kind", "keywords"),
    [
        ("snp", {"policy": {"debug": 1}}),
        ("snp", {"vmpl": {"x": 1}}),
        ("machine", {"gpus": -1, "nonce": bytes(range(32))}),
        ("machine", {"switches": -1, "nonce": bytes(range(32))}),
        ("site", {"gpus": -1, "nonce": bytes(range(32))}),
        ("site", {"origin": "foo", "nonce": bytes(range(32))}),
    ],
)
def test_the_simulators_own_calls_pass_over_nothing(
    simulator: Simulator, kind: str, keywords: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        getattr(simulator, kind)(**keywords)
