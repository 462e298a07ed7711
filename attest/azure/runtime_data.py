"""The runtime claims: JSON whose exact bytes are hashed into the hardware's report data.

The paravisor writes here its attestation key (HCLAkPub) and what it knows of the VM. All of it is worth as
much as the paravisor is. Source: Microsoft Learn, Azure confidential VM guest attestation, runtime claims.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from attest.canonical import canonical, read_json
from attest.errors import Malformed
from attest.problems import malformed
from attest.untrusted import Untrusted

MAX_SIZE = 8 << 10
_CODE = "azure.runtime-data"
_MAX_KEYS = 16
_MIN_BITS, _MAX_BITS = 2048, 4096
_EXPONENT = 65537
_USER_DATA = re.compile(r"[0-9a-fA-F]{128}\Z")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_AK = "HCLAkPub"


@dataclass(frozen=True, slots=True)
class RuntimeData:
    """raw: the hashed bytes. ak: the attestation key. user_data: 64 bytes that the guest chose, None in old
    reports. secure_boot, vm_id (a GUID in lower case): None where not said. configuration: the other members
    of vm-configuration that are text or true and false.
    """

    raw: bytes
    ak: RSAPublicKey = field(compare=False)
    user_data: bytes | None
    secure_boot: bool | None
    vm_id: str | None
    configuration: Mapping[str, str | bool] = field(compare=False)

    @classmethod
    def parse(cls, data: bytes) -> RuntimeData:
        """Raises Malformed: not strict JSON (a key twice refuses), no attestation key or two, user data of
        another length."""
        document = read_json(data, where="hcl.runtime_data", limit=MAX_SIZE)
        if not isinstance(document, dict):
            raise _refuse("The runtime data are no object", "hcl.runtime_data")
        configuration = document.get("vm-configuration", {})
        if not isinstance(configuration, dict):
            raise _refuse("vm-configuration is no object", "hcl.runtime_data.vm-configuration")
        secure_boot = configuration.get("secure-boot")
        if secure_boot is not None and not isinstance(secure_boot, bool):
            raise _refuse(
                "secure-boot is neither true nor false", "hcl.runtime_data.vm-configuration.secure-boot"
            )
        return cls(
            data,
            _attestation_key(document.get("keys")),
            _user_data(document.get("user-data")),
            secure_boot,
            _vm_id(configuration.get("vmUniqueId")),
            {
                Untrusted(name): Untrusted(value) if isinstance(value, str) else value
                for name, value in configuration.items()
                if isinstance(value, (str, bool))
            },
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 over the exact bytes."""
        return hashlib.sha256(self.raw).digest()

    @property
    def ak_thumbprint(self) -> str:
        """RFC 7638 thumbprint of the attestation key, base64url."""
        numbers = self.ak.public_numbers()
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        document = {"e": "AQAB", "kty": "RSA", "n": _b64url(modulus)}
        return _b64url(hashlib.sha256(canonical(document)).digest())


def _refuse(message: str, where: str, *, expected: object = None, found: object = None) -> Malformed:
    return malformed(message, where=where, expected=expected, found=found, code=_CODE)


def _attestation_key(keys: Any) -> RSAPublicKey:
    where = "hcl.runtime_data.keys"
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS:
        raise _refuse("The keys are no short list", where)
    own = [key for key in keys if isinstance(key, dict) and key.get("kid") == _AK]
    if len(own) != 1:
        raise _refuse("There is not exactly one attestation key", where, expected=_AK, found=len(own))
    (key,) = own
    where = f"{where}.{_AK}"
    if key.get("kty") != "RSA":
        raise _refuse("The attestation key is not RSA", f"{where}.kty", expected="RSA", found=key.get("kty"))
    exponent = int.from_bytes(_decode(key.get("e"), f"{where}.e"), "big")
    modulus = int.from_bytes(_decode(key.get("n"), f"{where}.n"), "big")
    if exponent != _EXPONENT or not _MIN_BITS <= modulus.bit_length() <= _MAX_BITS or modulus % 2 == 0:
        raise _refuse(
            "The attestation key is too short or of another exponent",
            where,
            expected=f"{_MIN_BITS} to {_MAX_BITS} bits, exponent {_EXPONENT}",
            found=f"{modulus.bit_length()} bits, exponent {exponent}",
        )
    return RSAPublicNumbers(exponent, modulus).public_key()


def _decode(text: Any, where: str) -> bytes:
    """base64url without padding, in its one spelling."""
    if not isinstance(text, str) or not 1 <= len(text) <= 1024:
        raise _refuse("A member of the attestation key is missing", where)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or _b64url(data) != text:
        raise _refuse("Not base64url without padding", where)
    return data


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _user_data(text: Any) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str) or not _USER_DATA.match(text):
        raise _refuse("The user data are not 64 bytes in hex", "hcl.runtime_data.user-data")
    return bytes.fromhex(text)


def _vm_id(text: Any) -> str | None:
    """What is no GUID is left out: a claim's text is compared, so it has one spelling."""
    return text.lower() if isinstance(text, str) and _GUID.match(text) else None
