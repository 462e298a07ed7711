"""One path validator: each rule of RFC 5280 that it applies, cut, swapped or aged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from attest.anchors import Anchor, Anchors
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
    assert {record.name for record in log.records()} <= {rule.check}
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


LONG = PathRule("rim", (None,) * 5, ("P-384",) * 5, check="snp.chain")


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("forged", range(5))
def test_every_link_of_a_long_chain_is_checked(forged: int, cached: bool) -> None:
    """forged: whose signature is by a key of the same name as its issuer's; 4 is the root's own, which is ours."""
    issuers = [Authority("root")]
    impostors = [Authority("root")]
    for depth, name in enumerate(("one", "two", "three", "leaf")):
        own, other = issuers[-1], impostors[-1]
        signer = other if forged == 3 - depth else own
        issuers.append(Authority(name, own, ca=name != "leaf", signed_by=signer))
        impostors.append(Authority(name, other))
    chain = [one.certificate for one in reversed(issuers)][:4]
    cache = Cache() if cached else None
    for _ in range(2):
        path, codes = check(chain, anchors(issuers[0]), LONG, cache)
        assert (path is None) is (forged < 4)
        assert codes == ({"x509.signature"} if forged < 4 else set())


def test_issuers_that_were_refused_are_not_kept_for_another_leaf(root: Authority) -> None:
    """T-CACHE: what stands above a leaf is kept apart from it, and only where it held."""
    broken = Authority("inter", root, usage=False)
    cache = Cache()
    for name in ("leaf", "leaf", "leaf"):
        leaf = Authority(name, broken, ca=False)
        path, codes = check([leaf.certificate, broken.certificate], anchors(root), cache=cache)
        assert path is None
        assert codes == {"x509.key-usage"}


def test_a_path_kept_under_one_rule_serves_no_other(
    root: Authority, inter: Authority, leaf: Authority
) -> None:
    cache = Cache()
    chain = [leaf.certificate, inter.certificate]
    assert check(chain, anchors(root), cache=cache)[1] == set()
    other = PathRule("rim", ("somebody", "inter", "root"), RULE.keys, check="snp.chain")
    assert check(chain, anchors(root), other, cache)[1] == {"x509.name"}
    elsewhere = PathRule("rim", ("leaf", "elsewhere", "root"), RULE.keys, check="snp.chain")
    assert check(chain, anchors(root), elsewhere, cache)[1] == {"x509.name"}


def test_a_root_that_the_vendor_issued_again_is_the_pinned_one(
    root: Authority, inter: Authority, leaf: Authority
) -> None:
    """T-ROOT: anchors are keys; the certificate around one may be new, and ours is used."""
    again = (
        x509.CertificateBuilder(
            root.name, root.name, root.key.public_key(), 99, BORN, DIES + timedelta(days=900)
        )
        .sign(root.key, hashes.SHA384())
        .public_bytes(Encoding.DER)
    )
    path, codes = check([leaf.certificate, inter.certificate, Certificate(again)], anchors(root))
    assert codes == set()
    assert path is not None
    assert path.root == root.certificate


def test_an_issuer_without_a_key_identifier_is_compared_with_none(root: Authority) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    made = (
        x509.CertificateBuilder(
            root.name, x509.Name.from_rfc4514_string("CN=inter"), key.public_key(), 5, BORN, DIES
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
        .sign(root.key, hashes.SHA384())
    )
    inter = Authority("inter", root)
    inter.key, inter.certificate = key, Certificate(made.public_bytes(Encoding.DER))
    leaf = Authority("leaf", inter, ca=False)
    assert check([leaf.certificate, inter.certificate], anchors(root))[1] == set()


@pytest.mark.parametrize(
    ("bits", "wanted", "holds"),
    [(2048, "RSA-2048", True), (3072, "RSA-2048", True), (2048, "RSA-4096", False), (4096, "RSA-4096", True), (2048, "P-384", False), (0, "RSA-4096", False), (0, "RSA-2048", False), (0, "P-256", False)],
)  # fmt: skip
def test_sizes_of_keys(bits: int, wanted: Any, holds: bool) -> None:
    """bits: 0 for an elliptic curve's P-384."""
    key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP384R1())
    name = x509.Name.from_rfc4514_string("CN=root")
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 5, BORN, DIES)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
        .sign(key, hashes.SHA384())
    )
    own = Certificate(made.public_bytes(Encoding.DER))
    trusted = Anchors((Anchor("nvidia-rim", own),))
    leaf = (
        x509.CertificateBuilder(
            name, name, ec.generate_private_key(ec.SECP384R1()).public_key(), 6, BORN, DIES
        )
        .sign(key, hashes.SHA384())
        .public_bytes(Encoding.DER)
    )
    rule = PathRule("rim", (None, None), ("P-384", wanted), leaf_constraints=False, check="snp.chain")
    assert (check([Certificate(leaf)], trusted, rule)[1] == set()) is holds


def test_only_who_is_out_of_date_is_named() -> None:
    old = Authority("root", not_before=BORN - timedelta(days=9), not_after=BORN - timedelta(days=1))
    inter = Authority("inter", old, not_before=BORN, not_after=BORN)
    leaf = Authority("leaf", inter, ca=False, not_before=BORN)
    path, _ = check([leaf.certificate, inter.certificate], anchors(old))
    assert path is not None
    log = CheckLog()
    assert not path.in_time(BORN, log)
    assert [(one.code, one.where) for one in log.problems] == [("x509.expired", "root")]
