"""The answer of NVIDIA's remote attestation service, as bytes: one overall token, one token a device.

    [["JWT", overall], {"GPU-0": token, "GPU-1": token, …}]

alone, as `detached_eat` in the file that local tools write, or inside the token of NVIDIA's Python SDK.
Nothing read here is believed: `attest.nvidia.nras` checks it.
Source: NVIDIA Remote Attestation Service, detached EAT; RFC 7515, compact serialisation.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from attest.canonical import read_json
from attest.problems import malformed

MAX_ANSWER = 2 << 20
MAX_TOKEN = 64 << 10
MAX_DEVICES = 16

_NAME = re.compile(r"(?:GPU|SWITCH)-(?:0|[1-9][0-9]{0,3})")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]*")
_SDK_NAMES = ("REMOTE_GPU_CLAIMS", "REMOTE_SWITCH_CLAIMS")


@dataclass(frozen=True, slots=True)
class Token:
    """One JWT that parses.

    raw: its ASCII bytes, over which an overall token's digest is made. header, claims: JSON objects,
    unverified. signature: as decoded; empty where there is none.
    """

    raw: bytes
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signature: bytes

    @classmethod
    def parse(cls, text: object, *, where: str) -> Token:
        """Three base64url segments with one spelling each; the first two are JSON objects. Raises Malformed."""
        if not isinstance(text, str):
            _refuse(where, "a JWT as text", type(text).__name__)
        if len(text) > MAX_TOKEN:
            _refuse(where, f"≤ {MAX_TOKEN} characters", len(text))
        segments = text.split(".")
        if len(segments) != 3:
            _refuse(where, "three segments", len(segments))
        header, claims, signature = (_segment(segment, where) for segment in segments)
        return cls(
            text.encode("ascii"),
            _object(header, f"{where}.header"),
            _object(claims, f"{where}.claims"),
            signature,
        )


@dataclass(frozen=True, slots=True)
class NrasAnswer:
    """raw: the file. overall: the platform's token. devices: `GPU-0` → that device's token, in its order."""

    raw: bytes
    overall: Token
    devices: Mapping[str, Token]

    @classmethod
    def parse(cls, data: bytes) -> NrasAnswer:
        """Raises Malformed for everything that is no detached EAT of at most 16 devices."""
        if len(data) > MAX_ANSWER:
            _refuse("answer", f"≤ {MAX_ANSWER} bytes", len(data))
        document = read_json(data, where="answer", limit=MAX_ANSWER)
        if isinstance(document, dict):
            if "detached_eat" not in document:
                _refuse("answer", "a detached EAT, or an object with detached_eat", "another object")
            document = document["detached_eat"]
        overall, modules = _pair(document)
        held = [name for name in modules if name in _SDK_NAMES]
        if held and len(modules) == 1:
            # The SDK's own outer token says nothing (a constant key signs it): what counts is inside.
            overall, modules = _pair(modules[held[0]])
        if not 1 <= len(modules) <= MAX_DEVICES:
            _refuse("answer.devices", f"1 to {MAX_DEVICES}", len(modules))
        for name in modules:
            if not _NAME.fullmatch(name):
                _refuse("answer.devices", "names like GPU-0 and SWITCH-0", name[:32])
        return cls(
            bytes(data),
            Token.parse(overall, where="overall"),
            MappingProxyType({name: Token.parse(text, where=name) for name, text in modules.items()}),
        )


def _pair(document: object) -> tuple[object, dict[str, Any]]:
    """The two members of a detached EAT bundle."""
    if not isinstance(document, list) or len(document) != 2:
        _refuse("answer", "a list of two", type(document).__name__)
    overall, modules = document
    if not isinstance(overall, list) or len(overall) != 2 or overall[0] != "JWT":
        _refuse("answer[0]", '["JWT", token]', type(overall).__name__)
    if not isinstance(modules, dict):
        _refuse("answer[1]", "an object of tokens", type(modules).__name__)
    return overall[1], modules


def _segment(text: str, where: str) -> bytes:
    if not _SEGMENT.fullmatch(text):
        _refuse(where, "base64url without padding", "another character")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        _refuse(where, "base64url", f"{len(text)} characters")
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        # One spelling for one value: the digest in the overall token is over the text.
        _refuse(where, "unused bits of zero", "others")
    return raw


def _object(data: bytes, where: str) -> Mapping[str, Any]:
    document = read_json(data, where=where, limit=MAX_TOKEN)
    if not isinstance(document, dict):
        _refuse(where, "a JSON object", type(document).__name__)
    return MappingProxyType(document)


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The answer of the attestation service is not built as one",
        where=where,
        expected=expected,
        found=found,
        code="nras.malformed",
    )
