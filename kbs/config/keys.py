"""Where the keys are that wrap secrets at rest: files, a PKCS#11 token, or a transit server."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from kbs.config.section import Folder, Named, Section

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_Seconds = Annotated[float, Field(ge=0.1, le=60)]


def _server(text: str) -> str:
    """`https://HOST` or `https://HOST:PORT`; `http` to this machine only, for the token goes with it."""
    try:
        parts = urlsplit(text)
        plain = bool(parts.hostname) and parts.port != 0 and text == f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        plain = False
    if not plain or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        raise ValueError("a server is https://HOST:PORT, without a path")
    if parts.scheme == "http" and not _this_machine(parts.hostname or ""):
        raise ValueError("the token would cross the network in clear: use https")
    return text


def _this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class FileKeys(Section):
    """Files of 32 bytes, `wrap.key` and those that `kbs keys rotate` makes."""

    kind: Literal["file"] = Field(
        default="file",
        description="Keys in files: 32 bytes each, `wrap.key` and those that `kbs keys rotate` makes.",
    )
    folder: Folder | None = Field(
        default=None, description="Where they stand; the folder `keys` of the state unless given."
    )


class Pkcs11Keys(Section):
    """AES-256 keys of one label in a PKCS#11 token; the one with the largest CKA_ID wraps."""

    kind: Literal["pkcs11"] = Field(description="Keys in a PKCS#11 token. Needs the extra `pkcs11`.")
    module: Named = Field(description="The vendor's library, a file such as `libsofthsm2.so`.")
    token: str = Field(pattern=r"^[ -~]{1,32}$", description="Label of the token.")
    label: str = Field(default="kbs", pattern=_NAME, description="Label of the keys.")
    pin: Named = Field(description="A file, 0600, with the PIN of the token's user.")
    seconds: _Seconds = Field(default=5.0, description="How long one answer of the token may take.")


class TransitKeys(Section):
    """Versions of one key of an OpenBao or Vault server; the newest wraps."""

    kind: Literal["transit"] = Field(description="Keys in the transit engine of an OpenBao or Vault server.")
    server: Annotated[str, AfterValidator(_server)] = Field(description="`https://HOST:PORT`.")
    mount: str = Field(default="transit", pattern=_NAME, description="Where the engine is mounted.")
    key: str = Field(default="kbs", pattern=_NAME, description="Name of the key.")
    token: Named = Field(description="A file, 0600, with the server's token; read again for each request.")
    ca: Named | None = Field(
        default=None, description="Accept only this CA's certificates, PEM; the system's unless given."
    )
    namespace: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_./-]{1,100}$", description="Namespace of the mount."
    )
    seconds: _Seconds = Field(default=5.0, description="How long one answer of the server may take.")


Keys = Annotated[FileKeys | Pkcs11Keys | TransitKeys, Field(discriminator="kind")]
