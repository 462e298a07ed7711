"""Versions of a secret: made by the broker, rotated with an overlap, disabled, destroyed."""

from __future__ import annotations

import pytest

from kbs.domain import ResourcePath
from kbs.refusals import Refusal
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.test_release import refused


def rotate(bench: Bench, value: bytes, seconds: int) -> None:
    bench.administration.put_secret("test", PATH, ["acme"], value, overlap_seconds=seconds)


def test_a_generated_secret_is_seen_by_machines_alone(acme: Bench) -> None:
    made = acme.administration.generate_secret("test", "acme/key/made", ["acme"], 48)
    assert made == (ResourcePath.parse("acme/key/made"), 1)
    first, second = acme.guest().boot("acme/key/made"), acme.guest().boot("acme/key/made")
    assert first == second
    assert len(first) == 48
    acme.administration.generate_secret("test", "acme/key/made", ["acme"], 48)
    assert acme.guest().boot("acme/key/made") != first
    assert [row["version"] for row in acme.rows("secret-generated")] == [1, 2]
    assert first.hex() not in str(acme.rows())


@pytest.mark.parametrize("size", [0, 15, 4097])
def test_a_generated_secret_has_a_size(acme: Bench, size: int) -> None:
    with pytest.raises(Refusal, match="16 to 4096"):
        acme.administration.generate_secret("test", "acme/key/made", ["acme"], size)


def test_in_an_overlap_who_has_the_version_before_gets_it_again(acme: Bench) -> None:
    early = acme.guest()
    early.boot(PATH)
    rotate(acme, b"rotated", 120)
    assert early.resource(PATH) == SECRET, "it has that one, and may need it in a second process"
    assert acme.guest().boot(PATH) == b"rotated"
    acme.clock.pass_seconds(119)
    assert early.resource(PATH) == SECRET
    acme.clock.pass_seconds(1)
    assert early.resource(PATH) == b"rotated"
    assert [row["version"] for row in acme.rows("repeat")] == [1, 1]


def test_without_an_overlap_everybody_gets_the_new_one(acme: Bench) -> None:
    early = acme.guest()
    early.boot(PATH)
    rotate(acme, b"rotated", 0)
    assert early.resource(PATH) == b"rotated"


def test_an_overlap_ends_where_the_version_is_disabled_or_destroyed(acme: Bench) -> None:
    acme.secret("acme", path="acme/key/other")
    early = acme.guest()
    early.boot(PATH)
    rotate(acme, b"rotated", 120)
    acme.administration.enable_version("test", PATH, 1, False)
    assert early.resource(PATH) == b"rotated"
    other = acme.guest()
    other.boot("acme/key/other")
    acme.administration.put_secret("test", "acme/key/other", ["acme"], b"rotated", overlap_seconds=120)
    acme.administration.destroy_version("test", "acme/key/other", 1)
    assert other.resource("acme/key/other") == b"rotated"


def test_a_disabled_version_is_released_again_once_it_is_enabled(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.administration.enable_version("test", PATH, 1, False)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    assert acme.codes() == {"kbs.secret.disabled"}
    acme.administration.enable_version("test", PATH, 1, True)
    assert guest.resource(PATH) == SECRET


def test_a_destroyed_version_is_gone_and_its_number_is_not_used_again(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    (sealed,) = acme.sql("SELECT wrapped_key, ciphertext FROM secret_versions")
    acme.administration.destroy_version("test", PATH, 1)
    (gone,) = acme.sql("SELECT wrapped_key, ciphertext FROM secret_versions")
    assert all(
        gone_part == b"" != part for gone_part, part in zip(map(bytes, gone), map(bytes, sealed), strict=True)
    )
    with refused(404, "ResourceNotFound"):
        guest.resource(PATH)
    with pytest.raises(Refusal, match="there is no version 1"):
        acme.administration.destroy_version("test", PATH, 1)
    with pytest.raises(Refusal, match="there is no version 1"):
        acme.administration.enable_version("test", PATH, 1, True)
    rotate(acme, b"another", 0)
    assert guest.resource(PATH) == b"another"
    assert [(one.number, one.destroyed) for one in acme.administration.versions(PATH)] == [
        (1, True),
        (2, False),
    ]
    assert acme.administration.keys.rewrap("test", ("", 0)).failed == ()
