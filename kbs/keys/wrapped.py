"""How a wrapped data key stands in its row: the KEK's id, then the store's own bytes.

    "KEK1" ‖ length of the id (1 byte) ‖ id (ASCII) ‖ box

Rows of before there were ids hold 60 bytes and nothing else: IV, key and tag under `wrap.key`. A box is
never shorter than those 60, so neither form can be taken for the other. The id only says whom to ask:
whether a key opens its row is for the store's authentication to say.
"""

from __future__ import annotations

from typing import Final

from kbs.keys import KeyStoreError, Wrapped

FIRST_FILE: Final = "file"
"""Stands for the key in `wrap.key`, in rows without an id."""
_MARK: Final = b"KEK1"
_UNNAMED: Final = 60


def write(wrapped: Wrapped) -> bytes:
    name = wrapped.key_id.encode("ascii")
    if not 0 < len(name) < 256 or len(wrapped.box) < _UNNAMED:
        raise ValueError("an id is 1 to 255 characters, a box 60 bytes or more")
    return _MARK + bytes([len(name)]) + name + wrapped.box


def read(raw: bytes) -> Wrapped:
    """Raises KeyStoreError on anything that `write` does not make, and no row of before had."""
    if len(raw) == _UNNAMED:
        return Wrapped(FIRST_FILE, raw)
    start = len(_MARK) + 1
    end = start + raw[start - 1] if len(raw) >= start else 0
    name, box = raw[start:end], raw[end:]
    if raw[: len(_MARK)] != _MARK or not name or not name.isascii() or len(box) < _UNNAMED:
        raise KeyStoreError("a wrapped key is no wrapped key any more: the row was changed")
    return Wrapped(name.decode("ascii"), box)
