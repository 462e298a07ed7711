"""One path validator: each rule of RFC 5280 that it applies, cut, swapped or aged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from attest.cache import Cache
from attest.checks import CheckLog
from attest.path import Path, PathRule, check_path
from attest.x509 import SIMULATOR_EXTENSION, Certificate
from tests.ca import BORN, DIES, Authority, anchors

RULE = PathRule("rim", ("leaf", "inter", "root"), ("P-384", "P-384", "P-384"), check="snp.chain")


def check(
    chain: list[Certificate], trusted: Any, rule: PathRule = RULE, cache: Cache | None = None
) -> tuple[Path | None, set[str]]:
    log = CheckLog()
    path = check_path(chain, anchors=trusted, anchor_role="nvidia-rim", rule=rule, log=log, cache=cache)
    return path, {problem.code for problem in log.problems}


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority("root", path_length=1)


@pytest.fixture(scope="module")
def inter(root: Authority) -> Authority:
    return Authority("inter", root, path_length=0)


@pytest.fixture(scope="module")
def leaf(inter: Authority) -> Authority:
    return Authority("leaf", inter, ca=False)


def test_an_honest_chain_passes_with_or_without_its_root(
    root: Authority, inter: Authority, leaf: Authority
) -> None:
    for chain in ([leaf, inter], [leaf, inter, root]):
        path, codes = check([a.certificate for a in chain], anchors(root))
        assert codes == set()
        assert path is not None
        assert path.root == root.certificate
        assert not path.simulated


def test_t_root_a_root_of_the_same_name_is_not_the_pinned_one(
    root: Authority, inter: Authority, leaf: Authority
) -> None:
    impostor = Authority("root", path_length=1)
    assert check([leaf.certificate, inter.certificate], anchors(impostor))[1] == {"x509.signature"}
    assert check([leaf.certificate, inter.certificate, root.certificate], anchors(impostor))[1] == {
        "x509.anchor"
    }


def test_t_root_a_sent_root_that_is_not_pinned_refuses_even_if_ours_would_fit(
    root: Authority, inter: Authority, leaf: Authority
) -> None:
    impostor = Authority("root", path_length=1)
    codes = check([leaf.certificate, inter.certificate, impostor.certificate], anchors(root))[1]
    assert codes == {"x509.anchor"}


def test_without_any_anchor_nothing_passes(inter: Authority, leaf: Authority) -> None:
    assert check([leaf.certificate, inter.certificate], anchors())[1] == {"x509.anchor"}


@pytest.mark.parametrize("length", [0, 1, 4])
def test_only_the_right_number_of_certificates(
    length: int, root: Authority, inter: Authority, leaf: Authority
) -> None:
    chain = [leaf.certificate, inter.certificate, root.certificate, inter.certificate][:length]
    assert check(chain, anchors(root))[1] == {"x509.depth"}


def test_the_same_certificate_twice(root: Authority, leaf: Authority) -> None:
    assert check([leaf.certificate, leaf.certificate], anchors(root))[1] == {"x509.duplicate"}


def _with(
    root: Authority, *, inter: dict[str, Any] | None = None, leaf: dict[str, Any] | None = None
) -> set[str]:
    middle = Authority("inter", root, **({"path_length": 0} | (inter or {})))
    end = Authority("leaf", middle, **({"ca": False} | (leaf or {})))
    return check([end.certificate, middle.certificate], anchors(root))[1]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"leaf": {"ca": True}}, {"x509.leaf-is-ca", "x509.key-usage"}),
        ({"inter": {"ca": False, "path_length": None}}, {"x509.not-a-ca", "x509.key-usage"}),
        ({"inter": {"constraints": False}}, {"x509.not-a-ca"}),
        ({"inter": {"usage": False}}, {"x509.key-usage"}),
        ({"leaf": {"usage": False}}, {"x509.key-usage"}),
        ({"leaf": {"curve": ec.SECP256R1()}}, {"x509.key"}),
        ({"leaf": {"hash_algorithm": hashes.SHA224()}}, {"x509.signature-algorithm"}),
        ({"leaf": {"identifier": bytes(20)}}, {"x509.key-identifier"}),
        (
            {
                "leaf": {
                    "extra": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True),)
                }
            },
            {"x509.critical-extension"},
        ),
        (
            {"leaf": {"extra": ((x509.UnrecognizedExtension(SIMULATOR_EXTENSION, b"\5\0"), True),)}},
            {"x509.critical-extension"},
        ),
        (
            {
                "leaf": {
                    "extra": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), False),)
                }
            },
            set(),
        ),
    ],
)
def test_one_wrong_thing_is_named(change: dict[str, Any], code: set[str], root: Authority) -> None:
    assert _with(root, **change) == code


def test_a_link_signed_by_another_key(root: Authority, inter: Authority) -> None:
    stranger = Authority("inter", root, path_length=0)
    forged = Authority("leaf", inter, ca=False, signed_by=stranger)
    assert check([forged.certificate, inter.certificate], anchors(root))[1] == {"x509.signature"}


def test_a_name_that_the_role_does_not_expect(root: Authority, inter: Authority) -> None:
    other = Authority("other", inter, ca=False)
    assert check([other.certificate, inter.certificate], anchors(root))[1] == {"x509.name"}


def test_a_ca_below_its_path_length(leaf: Authority) -> None:
    short = Authority("root", path_length=0)
    middle = Authority("inter", short)
    end = Authority("leaf", middle, ca=False)
    assert check([end.certificate, middle.certificate], anchors(short))[1] == {"x509.path-length"}


def test_both_ends_of_validity_to_the_second(root: Authority, inter: Authority, leaf: Authority) -> None:
    path, _ = check([leaf.certificate, inter.certificate], anchors(root))
    assert path is not None
    second = timedelta(seconds=1)
    for at, codes in (
        (BORN, set()),
        (DIES, set()),
        (BORN - second, {"x509.not-yet-valid"}),
        (DIES + second, {"x509.expired"}),
    ):
        log = CheckLog()
        assert path.in_time(at, log) is (not codes)
        assert {problem.code for problem in log.problems} == codes


def test_a_cached_path_serves_only_its_own_anchors_and_role(
    root: Authority, inter: Authority, leaf: Authority
) -> None:
    cache = Cache()
    chain = [leaf.certificate, inter.certificate]
    assert check(chain, anchors(root), cache=cache)[0] is not None
    impostor = Authority("root", path_length=1)
    assert check(chain, anchors(impostor), cache=cache)[0] is None
    other = PathRule("device", RULE.names, RULE.keys, check="snp.chain")
    assert check(chain, anchors(root), other, cache=cache)[0] is not None


def test_a_refused_path_is_not_cached(root: Authority, inter: Authority) -> None:
    cache = Cache()
    forged = Authority("leaf", inter, ca=False, signed_by=root)
    for _ in range(2):
        assert check([forged.certificate, inter.certificate], anchors(root), cache=cache)[1] == {
            "x509.signature"
        }


def test_the_cache_is_bounded() -> None:
    cache = Cache(2)
    for number in range(5):
        cache.put((bytes([number]),), number)
    assert len(cache) == 2
    assert cache.get((b"\0",)) is None
    assert cache.get((b"\4",)) == 4
