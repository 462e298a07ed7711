"""What comes with the package and is trusted as its code is: built-in policies and floor data.

A built-in never changes; what is stricter gets the next number. Their digests stand here, so that a file that
was altered on the disk is no policy.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

_DIGESTS = {
    "baseline/snp@1": "0c61393a26349c735c2c780c9c67ee8bf4cae905b475692e1ed62b5209e2d74aeb56c41838528a60900679b2bb0010d7",
    "baseline/tdx@1": "f1806720f133c3ffabbfb0a25f341c722383bbeafd9dbc22c85426f8f1049a9b35eb5be8013948984a44b744a151ffbf",
    "floors": "dd9b93c0f5cc3c0be0b89be4a9c5bb771f46bfc445033ca36f8c250ea4e2e953a28128c595657ed533a61e0e2a1f2270",
}
BUILTINS = tuple(name for name in _DIGESTS if "@" in name)
"""The names that `extends` knows."""


@cache
def built_in(name: str) -> bytes:
    """The text of a built-in policy. Raises KeyError for another name, RuntimeError where the file was altered."""
    return _read(name, f"{name.replace('/', '-')}.yaml")


@cache
def floor_data() -> bytes:
    """The floor data shipped. Raises RuntimeError where the file was altered."""
    return _read("floors", "floors.json")


def _read(name: str, file: str) -> bytes:
    wanted = _DIGESTS[name]
    data = files(__name__).joinpath(file).read_bytes()
    if hashlib.sha384(data).hexdigest() != wanted:
        raise RuntimeError(f"{file} of the package is not the one that was shipped: install it again")
    return data
