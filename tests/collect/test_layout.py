"""For whom evidence is collected: domains that do not answer for each other, and no way around them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from attest.binding import device_nonce, domain_of, report_data
from attest.collect import Broker, CollectError, Interfaces, Machine, Site, collect
from attest.simulator import Simulator
from attest.site import SiteStatement
from tests.collect.kernel import KernelTsm, snp_kernel
from tests.collect.test_end_to_end import NONCE, jwk, site_key
from tests.conftest import NOON

N = base64.b64encode(NONCE).decode()


def statement() -> SiteStatement:
    return SiteStatement(site_key(), bytes(range(32)), NOON, ("https://a.example",))


def test_a_brokers_layout_is_the_guest_protocols() -> None:
    layout = Broker(NONCE, jwk())
    assert layout.device_nonce() == device_nonce(N, jwk())
    assert layout.report_data("text") == report_data(N, jwk(), "text")


def test_a_sites_layout_is_its_statements() -> None:
    layout = Site(NONCE, statement())
    assert layout.device_nonce() == statement().device_nonce()
    assert layout.report_data("text") == statement().report_data(N, "text")


def test_domains_differ_in_every_digest() -> None:
    """T-CROSS: also where the digest stands alone, and for devices."""
    broker, site = Broker(NONCE, jwk()), Site(NONCE, statement())
    assert broker.device_nonce() != site.device_nonce()
    assert broker.report_data("")[:48] != site.report_data("")[:48]
    assert domain_of(broker.report_data("")) == "broker"
    assert domain_of(site.report_data("")) == "site"


@pytest.mark.parametrize("key", [site_key(), {"kty": "oct", "k": "AA"}, {}, {"kty": ["EC"]}])
def test_a_sites_key_is_not_a_brokers(key: dict[str, Any]) -> None:
    with pytest.raises(CollectError) as failure:
        Broker(NONCE, key)
    assert failure.value.code == "collect.key"


@pytest.mark.parametrize(
    "nonce",
    [
        bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"),
        bytes.fromhex("4cff7f53").ljust(32, b"\x07"),
        bytes(32),
        b"\xff" * 16,
    ],
)
def test_a_nonce_that_anybody_knows_is_refused(nonce: bytes) -> None:
    with pytest.raises(CollectError) as failure:
        Broker(nonce)
    assert failure.value.code == "nonce.public-constant"


@pytest.mark.parametrize("size", [0, 15, 65])
def test_a_nonce_is_16_to_64_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="16 to 64"):
        Broker(bytes(range(size)))


def test_a_browsers_nonce_is_32_bytes() -> None:
    with pytest.raises(ValueError, match="32"):
        Site(bytes(range(31)), statement())


class Forged:
    """A layout of the caller's own, which would put its bytes into the report."""

    def device_nonce(self) -> bytes:
        return bytes(32)

    def report_data(self, additional: str) -> bytes:
        return b"whatever a caller likes".ljust(64, b"\0")


def test_t_oracle_collecting_is_no_oracle(simulator: Simulator) -> None:
    """T-ORACLE: bytes of the caller never reach the report, not even as a layout of his own."""
    kernel = snp_kernel(simulator)
    for given in (bytes(64), Forged(), None):
        with pytest.raises(TypeError):
            collect(given, Machine(), interfaces=Interfaces(tsm=kernel))  # type: ignore[arg-type]
    assert kernel.made == []


def test_whatever_is_given_is_hashed_into_its_domain(simulator: Simulator) -> None:
    """T-ORACLE: a key or nonce that is chosen to look like report data only moves the hash."""
    forged = report_data(N, jwk(), "")
    kernel = snp_kernel(simulator)
    collected = collect(Broker(forged), Machine(), gpus="none", interfaces=Interfaces(tsm=kernel))
    asked = inblob(kernel)
    assert asked == collected.bound
    assert asked != forged
    assert asked == report_data(base64.b64encode(forged).decode(), None, "")


def inblob(kernel: KernelTsm) -> bytes:
    (data,) = [data for attribute, data in kernel.writes if attribute == "inblob"]
    return data
