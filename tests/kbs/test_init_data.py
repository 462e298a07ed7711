"""Init-data is text of the host's: read within bounds, and only in one way."""

from __future__ import annotations

import hashlib
import time
import tracemalloc

import pytest

from attest import Malformed
from kbs.protocol.init_data import InitData

HEAD = 'version = "0.1.0"\nalgorithm = "sha384"\n'


def read(body: str) -> InitData:
    return InitData.from_json({"format": "toml", "body": body})


@pytest.mark.parametrize(
    "data",
    [
        "[data]\n\"aa.toml\" = \"x\"\n\"cdh.toml\" = '''\na.b.c.d.e.f.g.h.i.j.k.l = 1\n'''\n",
        '[data]\n"policy.rego" = """\nx := "\\"""\nimport a.b.c.d.e.f.g.h.i.j.k\n"""""\n',
        "other = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 1.5] # a.a.a.a.a.a.a.a.a.a.a.a\n",
        "a.b.c = {d.e = 1, f.g = 2, h.i = 3, j.k = 4, l.m = 5, n.o = 6}\n",
    ],
)
def test_digest_is_over_the_raw_text(data: str) -> None:
    assert read(HEAD + data).digest == hashlib.sha384((HEAD + data).encode()).digest()


@pytest.mark.parametrize(
    "start",
    ["", "[", "[[", "x = {y = 1, ", 'x = {y = """a"""", ', "x = {y = '''a'''', ", '"\\"".', "''.", "# '\n"],
)
@pytest.mark.parametrize("part", ["a.", '"".', "'' . ", '"\\"".', '"a.b".'])
def test_keys_of_many_parts_cost_nothing(start: str, part: str) -> None:
    """The parser would take memory by the square of the parts: 100 GB for half a megabyte."""
    body = HEAD + start + part * (500_000 // len(part)) + "a = 1"
    tracemalloc.start()
    before = time.perf_counter()
    try:
        with pytest.raises(Malformed):
            read(body)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - before < 3


@pytest.mark.parametrize("body", ['a = "', "a = '", 'a = """', "a = '''", 'a = """' * 1000, "a = 1\n" * 2])
def test_strings_that_do_not_end_and_keys_given_twice_are_refused(body: str) -> None:
    with pytest.raises(Malformed):
        read(HEAD + body)


@pytest.mark.parametrize("unit", ['"\\"', "'\"", '\\"""', '"""\\', "'''x", '""'])
def test_looking_for_keys_takes_time_by_the_length_only(unit: str) -> None:
    before = time.perf_counter()
    with pytest.raises(Malformed):
        read(HEAD + unit * (900_000 // len(unit)))
    assert time.perf_counter() - before < 3
