"""The keys of an identity provider: its JWK set, in a file or at the address that its own configuration names.

Source: RFC 7517, RFC 7518 §3.3, OpenID Connect Discovery 1.0 §4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from attest.canonical import read_json
from attest.errors import Malformed
from attest.problems import malformed
from kbs.passport.fetched import FetchedKeys, require_https
from kbs.sign_in.provider import Algorithm, Keys

_LIMIT: Final = 256 << 10
_MOST: Final = 64
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_RSA_BITS: Final = range(2048, 8193)
_OF_RSA: Final[frozenset[Algorithm]] = frozenset({"RS256", "PS256"})
_OF_CURVE: Final[Mapping[object, frozenset[Algorithm]]] = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "Ed25519": frozenset({"EdDSA"}),
}


def read_keys(data: bytes, allowed: frozenset[Algorithm]) -> Keys:
    """By `kid`, each under the one algorithm that it is for: an EC or OKP key's curve decides, an RSA key must say, or
    `allowed` must leave one. Those without a name, of other kinds and for other uses are passed over.

    Raises Malformed (`issuer.keys`) where none is left, where two have one name, and for a private key.
    """
    try:
        document = read_json(data, where="jwks", limit=_LIMIT)
    except Malformed as error:
        _refuse("jwks", "a JWK set", error.problems[0].message)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST:
        _refuse("jwks.keys", f"a list of at most {_MOST} keys", type(listed).__name__)
    found: dict[str, Any] = {}
    for index, entry in enumerate(listed):
        where = f"jwks.keys[{index}]"
        if not isinstance(entry, dict):
            _refuse(where, "an object", type(entry).__name__)
        if _PRIVATE & set(entry):
            _refuse(where, "a public key", "a private member")
        algorithm, kid = _algorithm(entry, allowed), entry.get("kid")
        if algorithm is None or not isinstance(kid, str) or entry.get("use", "sig") != "sig":
            continue
        if kid in found:
            _refuse(where, "keys that differ in name", "the same twice")
        key = _read(entry, algorithm, where)
        if not isinstance(key.key, rsa.RSAPublicKey) or key.key.key_size in _RSA_BITS:
            found[kid] = key
    if not found:
        _refuse("jwks.keys", f"a key for signatures by {', '.join(sorted(allowed))}", "none")
    return found


def _algorithm(entry: Mapping[str, Any], allowed: frozenset[Algorithm]) -> Algorithm | None:
    """The only one that this key is for; None where it is for none that counts."""
    possible = _OF_RSA if entry.get("kty") == "RSA" else _OF_CURVE.get(entry.get("crv"), frozenset())
    fitting = [one for one in possible & allowed if entry.get("alg") in (None, one)]
    return fitting[0] if len(fitting) == 1 else None


def _read(entry: Mapping[str, Any], algorithm: Algorithm, where: str) -> jwt.PyJWK:
    try:
        return jwt.PyJWK(dict(entry), algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        _refuse(where, f"a key for {algorithm}", "another")


class DiscoveredKeys(FetchedKeys[Keys]):
    """iss: whose configuration is asked where the keys are."""

    def __init__(self, iss: str, allowed: frozenset[Algorithm], *, verify: Any = True) -> None:
        """Raises ValueError."""
        super().__init__(
            f"{iss.rstrip('/')}/.well-known/openid-configuration",
            lambda data: read_keys(data, allowed),
            verify=verify,
            or_here=True,
        )
        self._iss = iss

    def _document(self) -> bytes:
        said = read_json(self._fetch(self._url), where="configuration", limit=_LIMIT)
        found = said if isinstance(said, dict) else {}
        if found.get("issuer") != self._iss:
            _refuse("configuration.issuer", self._iss, found.get("issuer"))
        try:
            here = self._iss.startswith("http:")
            return self._fetch(require_https(str(found.get("jwks_uri")), or_here=here))
        except ValueError:
            _refuse("configuration.jwks_uri", "an https address", found.get("jwks_uri"))


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The provider's keys cannot be read", where=where, expected=expected, found=found, code="issuer.keys"
    )
