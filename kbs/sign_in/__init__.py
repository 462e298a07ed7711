"""People by the word of an identity provider: OpenID Connect tokens at the administrators' door.

A provider says who somebody is, and nothing else: what he may do is a principal of this broker, made by name for that
provider and subject. So no group in a directory makes anybody an administrator, and whoever is removed here is nobody at
the next request, whatever tokens he still has.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from attest.errors import Malformed
from kbs.access import Subject
from kbs.passport.keys import KeysUnavailable
from kbs.refusals import Refusal
from kbs.sign_in.provider import KeySource, Provider
from kbs.sign_in.token import Check, TokenRefused, claimed_issuer, subject_of

_log = structlog.get_logger("kbs.sign_in")


class SignIn:
    """Those whose tokens are read, each with its keys. Raises ValueError where two have one name, or one `iss`."""

    def __init__(self, trusted: Sequence[tuple[Provider, KeySource]] = ()) -> None:
        self._trusted = {provider.iss: (provider, keys) for provider, keys in trusted}
        if len(self._trusted) != len(trusted) or len({one.name for one, _ in trusted}) != len(trusted):
            raise ValueError("two providers have one name, or the same iss")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(provider.name for provider, _ in self._trusted.values())

    def subject(self, token: str, at: datetime) -> Subject | None:
        """Who the token is about; None where it does not count, which the log explains and the answer does not.

        Raises Refusal where the provider's keys cannot be had.
        """
        name = None
        try:
            raw = token.encode("ascii")
            provider, source = self._trusted.get(claimed_issuer(raw), (None, None))
            if provider is None or source is None:
                return None
            name = provider.name
            try:
                return subject_of(raw, provider, source.current(at), at)
            except TokenRefused as refusal:
                renewed = source.renewed(at) if refusal.check is Check.KEY else None
                if renewed is None:
                    raise
                return subject_of(raw, provider, renewed, at)
        except KeysUnavailable:
            raise Refusal(503, "InternalError", f"the keys of {name} cannot be had now") from None
        except (Malformed, TokenRefused) as error:
            _log.warning("a token of an identity provider does not count", provider=name, cause=str(error))
        except UnicodeEncodeError:
            pass
        return None
