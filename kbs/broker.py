"""The release decision, whole: challenge, attest, release, in the order a guest meets them.

    challenge   32 random bytes, kept with an expiry; the cookie's hash is its name
    attest      the nonce is consumed by one conditional UPDATE, then the evidence is verified against
                that nonce and the key beside it; the verified claims are kept sealed, the key with them
    release     session, secret, rules, consents and revocations are read, every owner's policy asked again over
                the sealed claims, the secret opened and wrapped for the attested key; then, in one transaction,
                all that was read is read again, decided again where anything changed, and the audit row written

A guest that attested elsewhere brings a token: `passport` reads it, `release_to` decides over what it says.

What a reader should find here: nothing is decided from what the guest says about itself; the key that a
secret is wrapped for is the one in the digest that the hardware signed; no path returns a secret without
its audit row committed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from attest import (
    Anchors,
    Cache,
    Denied,
    Endorsements,
    Malformed,
    Problem,
    Rejected,
    Verified,
    appraise,
    verify,
)
from attest.azure.evidence import AzureEvidence
from attest.canonical import canonical, read_json
from attest.claims import instant, read_instant
from attest.composite import read_composite
from attest.evidence import Evidence
from attest.memory import Memory
from attest.untrusted import escape
from attest.verified import Vouched
from kbs import consent
from kbs.attestation_result import claims_digest, claims_for
from kbs.audit import AuditRow, Head, noted_problems
from kbs.clock import Clock
from kbs.collateral import Collateral, Epoch, NoCollateral
from kbs.consent import Standing, policies_of
from kbs.domain import Challenge, Given, Owner, ResourcePath, Rule, SecretVersion, Session, hashed
from kbs.expected import expected_of
from kbs.fetching import UNASKED, Fetcher, NoFetcher, verify_fetching
from kbs.keys import KeyStoreError, KeyStoreUnavailable
from kbs.keys.envelope import open_envelope
from kbs.keys.ring import KeyRing
from kbs.lease import Lease
from kbs.network import network_class
from kbs.observing import NOBODY, Observer, observed
from kbs.passport import Issuers, Passport
from kbs.passport.keys import KeysUnavailable
from kbs.policies import policy_of
from kbs.problems import problem
from kbs.protocol import CODECS, Attestation, Codec, Served
from kbs.protocol.request import TEES, read_request, write_challenge
from kbs.protocol.tee_key import TeeKey, encode
from kbs.quota import HOUR, UsedUp, limit_of, of_owner, used_up
from kbs.quota import refusal as refusal_of_quota
from kbs.refusals import Refusal, malformed_request
from kbs.retention import end_kept, kept_until
from kbs.revocation import Revocations, names_of_machine, platforms_of
from kbs.sealed import context_of, opened
from kbs.stops import Stop
from kbs.store.broker_row import BrokerState
from kbs.store.count_rows import of_version
from kbs.store.database import Store
from kbs.store.repository import Repository
from kbs.terms import Count
from kbs.token import Tokens, TokenTerms

_log = structlog.get_logger("kbs.broker")
_PASSPORTS: Final = CODECS["0.4.0"]
"""Who brings a token of another verifier speaks no protocol with us; his answer is the JWE of today."""
_UNSIGNED: Final = frozenset(
    {"ear.malformed", "ear.header", "ear.key", "ear.algorithm", "ear.type", "ear.signature"}
)
"""What is wrong with a token before its signature was found to hold."""
_TRIES: Final = 3
"""How often a secret may change while it is being opened."""


@dataclass(frozen=True, slots=True)
class Settings:
    """session_seconds: life of a challenge and of the session it becomes, at most 300. open_challenges:
    how many may wait at once, of all guests together. deny_status: 403, or 401 as the reference server
    sends (guests then attest twice more). served: which guests. tokens: what its tokens say. session_days,
    evidence_days: how long what machines proved, and their evidence, is kept to explain decisions. address_rate,
    session_rate: requests a minute of one address, and for secrets of one session. owner_releases: an hour, of owners who
    have no number of their own; None for no quota."""

    session_seconds: int = 300
    open_challenges: int = 10_000
    deny_status: int = 403
    served: Served = field(default_factory=Served)
    tokens: TokenTerms = field(default_factory=TokenTerms)
    session_days: int = 7
    evidence_days: int = 0
    address_rate: int = 6000
    session_rate: int = 300
    owner_releases: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.session_seconds <= 300:
            raise ValueError("a session lives between one second and five minutes")
        if self.deny_status not in (401, 403):
            raise ValueError("a denial is 401 or 403")


@dataclass(frozen=True)
class Verification:
    """What evidence is verified with: anchors, the endorsements at hand now, and verified chains. issuers: other
    verifiers whose tokens are read. fetcher: asks the vendors for what is not at hand."""

    anchors: Anchors = field(default_factory=Anchors.production)
    collateral: Collateral = field(default_factory=NoCollateral)
    cache: Cache = field(default_factory=Cache)
    issuers: Issuers = field(default_factory=Issuers)
    fetcher: Fetcher = field(default_factory=NoFetcher)

    def basis(self, epoch: Epoch) -> str:
        """Names what a session rests on: these anchors, and the endorsements of `epoch`.

        With the anchors in it, a session that one broker granted under a simulator's root is none for a
        broker on the same database that was not given that root.
        """
        return hashlib.sha256(self.anchors.digest + epoch.name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision rests on, as one transaction found it. Two that are equal decide the same.

    at: to the second. asks: None for a session that is not kept. basis: of `Verification`, as it is now. secret:
    the version to give, None where there is none. owners: by name, those of the secret, or of the rules where
    there is none. given: what who asks was given of it before. count: of the version's releases. standing: each
    owner's consent. quotas: owners who have one, and whose is used up. lists: the newest revocation list seen of each vendor. stopped: what stops the broker or an owner.
    """

    at: datetime
    asks: Session | Passport | None
    basis: str
    lists: str
    broker: str
    secret: SecretVersion | None
    owners: Mapping[str, Owner | None]
    rules: tuple[Rule, ...]
    given: tuple[Given, ...]
    count: Count
    standing: Mapping[str, Standing]
    quotas: Mapping[str, UsedUp | None]
    revoked: Revocations
    stopped: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is given a secret, once it is settled who asks. id: SHA-256 of the cookie or token that names him. vouched:
    claims about his machine. key: what the secret is wrapped for, the one in the digest that the hardware signed.
    attested, expires: before the one and after the other he is nobody. token: its `jti`, where it has one."""

    id: bytes
    vouched: Vouched
    key: TeeKey
    codec: Codec
    attested: datetime
    expires: datetime
    token: str | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A decision: this secret, to this recipient. agreed: the rules of all owners. repeats: the release that it
    repeats, None for one that counts. counted: the names of the consents that it counts for. hourly: the owners whose
    quota it counts for."""

    at: datetime
    recipient: Recipient
    secret: SecretVersion
    agreed: list[dict[str, str]]
    repeats: Given | None
    counted: tuple[str, ...]
    hourly: tuple[str, ...]

    @property
    def lease(self) -> datetime | None:
        """Until when the guest may use it. A repeat renews nothing (T-LEASE)."""
        return self.secret.terms.lease_ends(self.at) if self.repeats is None else self.repeats.lease


@dataclass(frozen=True, slots=True)
class Released:
    """An answer. receipt: its row in the audit trail, by number and hash. lease: until when the guest may use it; its
    end erases nothing."""

    body: bytes
    receipt: Head
    lease: datetime | None


class _Ended(Refusal):
    """The session that asks has ended at `at`."""

    def __init__(self, at: datetime) -> None:
        super().__init__(401, "TokenNotFound", "attest first")
        self.at = at


@dataclass(frozen=True, slots=True)
class Issued:
    """An answer and the cookie that goes with it."""

    body: bytes
    cookie: str
    expires: datetime


class Broker:
    """Every replica on the same database and keys is equal: a broker remembers nothing by itself, so any of
    them goes on where another stopped."""

    def __init__(
        self,
        store: Store,
        keys: KeyRing,
        verification: Verification,
        settings: Settings | None = None,
        clock: Clock | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self.observer = observer
        self._store = store
        self._keys = keys
        self._verification = verification
        self._settings = settings or Settings()
        self._tokens = Tokens(keys.tokens, self._settings.tokens)
        self._clock = clock or Clock()
        self._revocations = Revocations()
        self.rates = self._settings.address_rate, self._settings.session_rate

    # -- challenge ----------------------------------------------------------------------------------

    @observed("challenge")
    def challenge(self, body: bytes) -> Issued:
        """A nonce for a guest that asks in `body`. Raises Refusal."""
        try:
            request = read_request(body)
        except Malformed as error:
            raise malformed_request(_sentence(error)) from None
        self._codec(request.version)
        if request.tee not in TEES:
            raise Refusal(400, "AttestationError", f"this broker serves {', '.join(sorted(TEES))} guests")
        cookie = os.urandom(32).hex()
        nonce = base64.b64encode(os.urandom(32)).decode()

        def keep(tx: Repository) -> datetime:
            now = self._clock.now(tx)
            expires = now + timedelta(seconds=self._settings.session_seconds)
            _end(tx, now)
            if tx.sessions.open_challenges() >= self._settings.open_challenges:
                raise Refusal(
                    429,
                    "TooManyRequests",
                    "too many guests are being attested; try again soon",
                    retry_after=5,
                )
            tx.sessions.add_challenge(
                Challenge(hashed(cookie), request.tee, request.version, nonce, now, expires)
            )
            return expires

        return Issued(write_challenge(nonce), cookie, self._store.write(keep))

    def end(self) -> None:
        """Remove what has ended, which a challenge does too: for a broker that no guest asks."""
        self._store.write(lambda tx: _end(tx, self._clock.now(tx)))

    def _codec(self, version: str) -> Codec:
        """Raises Refusal, also for what another replica, or this broker before a restart, did serve."""
        codec = self._settings.served.codec(version)
        if codec is None:
            sentence = self._settings.served.mismatch(escape(version, 40))
            raise Refusal(401, "ProtocolVersion", sentence)
        return codec

    # -- attest -------------------------------------------------------------------------------------

    @observed("attest")
    def attest(self, cookie: str | None, body: bytes, address: str = "") -> Issued:
        """The token for a guest whose evidence is genuine, current and bound to its challenge and key.

        Whether any owner wants that guest is asked at release, never here. address: of the guest, for the
        budget of what it makes the broker ask the vendors. Raises Refusal.
        """
        body_digest = hashlib.sha256(body).digest()
        challenge, now = self._challenge_of(cookie)
        if challenge.consumed is not None:
            return self._same_answer(cookie, challenge, body_digest, now)
        codec = self._codec(challenge.protocol)
        try:
            with self.observer.step("attest.parse"):
                message = codec.read_attestation(body)
        except Malformed as error:
            raise malformed_request(_sentence(error)) from None

        # From here on the nonce is spent, whatever comes of it. Two calls at once: one goes on.
        if not self._store.write(lambda tx: tx.sessions.consume(challenge.id, body_digest, now)):
            raise Refusal(401, "AttestationError", "this challenge was answered already; ask for another")
        epoch = self._verification.collateral.current()
        try:
            verified, evidence = self._verify(challenge, codec, message, epoch, now, address)
        except (Malformed, Rejected) as error:
            raise self._refused(
                "attest-refused",
                _not_accepted(error),
                {
                    "tee": challenge.tee,
                    "challenge": challenge.id.hex(),
                    "body": body_digest.hex(),
                    "network": network_class(address),
                },
            ) from None
        return self._admit(
            _known(cookie), challenge, message.key, verified, evidence, epoch, now, body, address
        )

    def _challenge_of(self, cookie: str | None) -> tuple[Challenge, datetime]:
        """The challenge that `cookie` names, and the time it was found open at."""

        def look(tx: Repository) -> tuple[Challenge | None, datetime]:
            return tx.sessions.challenge(hashed(cookie)) if cookie else None, self._clock.now(tx)

        challenge, now = self._store.read(look)
        if challenge is None or not challenge.created <= now < challenge.expires:
            raise Refusal(401, "AttestationError", "there is no open challenge for this session; ask for one")
        return challenge, now

    def _same_answer(
        self, cookie: str | None, challenge: Challenge, body_digest: bytes, now: datetime
    ) -> Issued:
        """A client that lost the answer and sends the very same body again gets it again; nothing is
        verified anew, nothing is learned."""
        same = challenge.body is not None and hmac.compare_digest(challenge.body, body_digest)
        if not same or challenge.answer is None:
            raise Refusal(401, "AttestationError", "this challenge was answered already; ask for another")
        names = [key.session_cookie(_known(cookie)) for key in self._keys.sessions(now)]
        # Its session may be named by a key that another took over from since.
        kept = next((name for name in names if self.is_attested(hashed(name))), names[0])
        return Issued(_token_answer(challenge.answer), kept, challenge.expires)

    @observed("attest.verify")
    def _verify(
        self,
        challenge: Challenge,
        codec: Codec,
        message: Attestation,
        epoch: Epoch,
        now: datetime,
        address: str,
    ) -> tuple[Verified, Evidence]:
        """Raises Malformed or Rejected."""
        echoed = message.nonce
        if echoed is not None and not hmac.compare_digest(echoed.encode(), challenge.nonce.encode()):
            raise Rejected([problem("kbs.nonce.mismatch")])
        evidence, stapled = read_composite(challenge.tee, message.primary, message.additional)
        self._require_version(evidence)
        known, revoked = self._store.read(
            lambda tx: (tx.sessions.memory(), self._revoked(tx, tx.broker.state()))
        )
        init_data = message.init_data
        anchors = self._verification.anchors

        def ask(endorsements: Endorsements, memory: Memory) -> Verified:
            return verify(
                evidence,
                endorsements=endorsements,
                at=now,
                expected=expected_of(codec, message, challenge.nonce, _age(challenge, now)),
                anchors=anchors,
                cache=self._verification.cache,
                memory=memory,
                cheapest_first=True,
            )

        fetch = self._verification.fetcher.fetch(address)
        held = stapled + epoch.endorsements
        try:
            verified = verify_fetching(ask, evidence, held, known, fetch, anchors=anchors, at=now)
        except Rejected as refusal:
            seen = refusal.seen
            if seen is not None:
                # The list that revokes is the one to be kept from going back.
                self._store.write(lambda tx: tx.sessions.remember(seen))
            raise
        if init_data is not None and not init_data.signed_in(
            challenge.tee, verified.claims, verified.paravisor_claims
        ):
            raise Rejected([problem("kbs.init-data.unbound")])
        if now >= verified.expires:
            raise Rejected([problem("kbs.endorsements.ended", found=instant(verified.expires))])
        against = revoked.against(names_of_machine(verified.claims))
        if against:
            raise Rejected(against)
        return verified, evidence

    def _require_version(self, evidence: Evidence) -> None:
        """T-VERSION-DOWNGRADE: a guest picks its evidence document, and older ones bind less. Raises Rejected."""
        least = self._settings.served.azure_evidence
        if isinstance(evidence.cpu, AzureEvidence) and (evidence.cpu.version or 0) < least:
            raise Rejected(
                [
                    problem(
                        "kbs.evidence.version",
                        where="tee-evidence.primary_evidence.version",
                        expected=f"at least {least}",
                        found=str(evidence.cpu.version or 0),
                    )
                ]
            )

    def _admit(
        self,
        cookie: str,
        challenge: Challenge,
        key: TeeKey,
        verified: Verified,
        evidence: Evidence,
        epoch: Epoch,
        now: datetime,
        body: bytes,
        address: str,
    ) -> Issued:
        """Keep the verified claims for this session, under a new identifier (T-COOKIE)."""
        keys = self._keys.session
        session_cookie = keys.session_cookie(cookie)
        token_id = os.urandom(16)
        session = Session(
            id=hashed(session_cookie),
            tee=challenge.tee,
            protocol=challenge.protocol,
            key=key.jwk,
            attested=now,
            expires=challenge.expires,  # the challenge's: attesting late does not prolong it
            collateral=self._verification.basis(epoch),
            token_id=encode(token_id),
            sealed=b"",
        )
        session = replace(session, sealed=verified.seal(keys.seal, context_of(session)))
        token = self._tokens.issue(
            claims_for(verified, evidence, challenge, key, self._settings.tokens, token_id=token_id, now=now)
        )

        def keep(tx: Repository) -> None:
            tx.sessions.add_session(session)
            tx.sessions.answer(challenge.id, token)
            tx.sessions.remember(verified.memory)
            if self._settings.session_days:
                tx.kept.add(session, kept_until(now, self._settings.session_days))
            if self._settings.evidence_days:
                tx.kept.add_evidence(session.id, body, kept_until(now, self._settings.evidence_days))
            tx.audit.append(
                {
                    "event": "attested",
                    # With the endorsements of this name, all that evidence is replayed with.
                    "evidence": hashlib.sha256(body).hexdigest(),
                    "nonce": challenge.nonce,
                    "age": _age(challenge, now),
                    "endorsements": epoch.name,
                    "at": instant(now),
                    "network": network_class(address),
                    "session": session.id.hex(),
                    "tee": session.tee,
                    "protocol": session.protocol,
                    "key": key.thumbprint,
                    "claims": claims_digest(verified),
                    "platforms": list(platforms_of(verified.claims)),
                    "simulated": verified.simulated,
                    **noted_problems("warnings", verified.warnings),
                }
            )

        self._store.write(keep)
        return Issued(_token_answer(token), session_cookie, session.expires)

    # -- release ------------------------------------------------------------------------------------

    @observed("release")
    def release(self, session_id: bytes | None, resource: ResourcePath, address: str = "") -> Released:
        """The current version of `resource`, wrapped for the key that the session attested.

        session_id: hash of the cookie, or None. address: of who asks, for the row. Raises Refusal.
        """
        if session_id is None:
            raise _attest_first()
        return self._release(resource, lambda tx: tx.sessions.session(session_id), address)

    @observed("release")
    def release_to(self, passport: Passport, resource: ResourcePath, address: str = "") -> Released:
        """The current version of `resource`, wrapped for the key that the passport's issuer saw attested.

        Whether the word of that issuer counts, each owner's rule says. Raises Refusal.
        """
        return self._release(resource, lambda _: passport, address)

    def _release(
        self, resource: ResourcePath, who: Callable[[Repository], Session | Passport | None], address: str
    ) -> Released:
        """Decided, and the secret opened, between a transaction that reads and one that writes, so that nobody
        waits for a policy or a key store. The second finds the facts as they were, or decides anew on those of
        now; it commits with the audit row. Without the row there is no answer."""
        look = partial(self._facts, who, resource)
        noted: dict[str, Any] = {"resource": str(resource), "network": network_class(address)}
        try:
            for _ in range(_TRIES):
                facts = self._store.read(look)
                grant = self._decide(facts, noted)
                answer = self._answer(grant)
                released = self._store.write(partial(self._commit, look, facts, grant, noted, answer))
                if released is not None:
                    return released
            raise Refusal(503, "InternalError", "the secret changes too often; try again", audited=True)
        except KeyStoreError as error:
            noted["cause"] = str(error)
            self.observer.failed("key-store")
            _log.error("a secret cannot be opened", cause=str(error))  # its path is not for logs
            raise self._refused("release-denied", _cannot_open(error), noted) from None
        except _Ended as ended:
            # Gone as soon as somebody saw that it ended: no clock that is turned back revives it (T-CLOCK).
            at = ended.at
            self._store.write(lambda tx: tx.sessions.forget_expired(at))
            raise
        except Refusal as refusal:
            raise self._refused("release-denied", refusal, noted) from None

    @observed("release.facts")
    def _facts(
        self, who: Callable[[Repository], Session | Passport | None], resource: ResourcePath, tx: Repository
    ) -> Facts:
        now = self._clock.now(tx)
        asks = who(tx)
        given = tx.releases.given(asks.id, resource) if asks is not None else ()
        secret = _version_for(given, tx, resource, now)
        rules = tuple(tx.registry.matching_rules(resource))
        names = {rule.owner for rule in rules} if secret is None else secret.owners
        owners = {name: tx.registry.owner(name) for name in sorted(names)}
        state = tx.broker.state()
        return Facts(
            at=now,
            asks=asks,
            basis=self._verification.basis(self._verification.collateral.current()),
            lists=tx.sessions.lists(),
            broker=state.name,
            secret=secret,
            owners=owners,
            rules=rules,
            given=given,
            count=Count() if secret is None else tx.counts.of(of_version(resource, secret.version)),
            standing={}
            if secret is None
            else {name: tx.consents.standing(name, resource) for name in secret.owners},
            quotas=self._quotas(tx, owners, now),
            revoked=self._revoked(tx, state),
            stopped=tuple(one for one in tx.stops.all() if one.owner is None or one.owner in names),
        )

    def _quotas(
        self, tx: Repository, owners: Mapping[str, Owner | None], now: datetime
    ) -> dict[str, UsedUp | None]:
        """Whether each is used up, and not how much is left: who is asked alone would be decided about anew for each
        other's release."""
        limits = {name: limit_of(owner, self._settings.owner_releases) for name, owner in owners.items()}
        return {
            name: used_up(limit, tx.counts.of(of_owner(name)), now)
            for name, limit in limits.items()
            if limit is not None
        }

    def _revoked(self, tx: Repository, state: BrokerState) -> Revocations:
        """All that is in force in this transaction. Kept by its tag, which no other content has."""
        kept = self._revocations
        if kept.tag != state.tag:
            kept = Revocations.of(state.tag, state.epoch, tx.revocations.in_force())
            self._revocations = kept
        return kept

    @observed("release.decide")
    def _decide(self, facts: Facts, noted: dict[str, Any]) -> Grant:
        """Whether who asks gets the secret. Rests on `facts` and the keys of sessions alone. Raises Refusal.

        noted: what is found on the way, for the audit row of a refusal too.
        """
        if facts.asks is None:
            raise _attest_first()
        if isinstance(facts.asks, Passport):
            recipient = _of_passport(facts.asks, noted, facts.at)
        else:
            recipient = self._of_session(facts.asks, facts, noted)
        noted["epoch"] = facts.revoked.epoch
        problems = _stopped(facts.stopped) + facts.revoked.against(
            _names(recipient, facts), recipient.attested
        )
        agreed, refusing, missing = self._owners_agree(recipient.vouched, facts)
        problems += missing
        repeats = _repeats(recipient, facts)
        if not problems and facts.secret is not None:
            problems += _unmet(facts.secret, agreed, repeats, facts)
        if problems or not agreed:
            noted |= {"key": recipient.key.thumbprint, "agreed": agreed, "refusing": refusing}
            raise self._denied(problems)
        if facts.secret is None:
            # Whoever the owners of such a path would trust may know that it is not there; for all others it looks
            # like a denial.
            raise Refusal(404, "ResourceNotFound", "there is no such resource", audited=True)
        if repeats is not None and repeats.lease is not None and facts.at >= repeats.lease:
            raise _lease_ended(repeats.lease, facts.at)
        full = {name: one for name, one in facts.quotas.items() if one is not None}
        if full and repeats is None:
            noted |= {"key": recipient.key.thumbprint, "agreed": agreed, "refusing": refusing}
            raise refusal_of_quota(full, facts.at)
        counted = tuple(one.counted for one in facts.standing.values() if one.counted is not None)
        return Grant(facts.at, recipient, facts.secret, agreed, repeats, counted, tuple(facts.quotas))

    @observed("release.unwrap")
    def _answer(self, grant: Grant) -> bytes:
        """The secret for the attested key. In no transaction: a key store may be slow. Raises KeyStoreError."""
        plaintext = open_envelope(grant.secret, self._keys.wrap)
        return grant.recipient.codec.write_answer(plaintext, grant.recipient.key)

    @observed("release.commit")
    def _commit(
        self,
        look: Callable[[Repository], Facts],
        facts: Facts,
        grant: Grant,
        noted: dict[str, Any],
        answer: bytes,
        tx: Repository,
    ) -> Released | None:
        """Write the row of what was decided; None where the answer is of another version, or for another
        session, than those of now. Raises Refusal."""
        now = look(tx)
        if now != facts:
            grant = self._decide(now, noted)
            if (now.secret, now.asks) != (facts.secret, facts.asks):
                return None
        row = _record_release(tx, grant, noted)
        return Released(answer, Head(row.number, row.hash), grant.lease)

    def jwks(self) -> dict[str, Any]:
        """The public keys of the tokens that count now."""
        return self._tokens.jwks(self._store.read(self._clock.now))

    def is_attested(self, session_id: bytes) -> bool:
        """Whether a session of this name is kept. It may have ended: `release` decides that."""
        return self._store.read(lambda tx: tx.sessions.session(session_id)) is not None

    def session_of_token(self, token: str) -> bytes | None:
        """The session that a bearer token stands for, None where it stands for none."""
        from kbs.token import InvalidToken

        def look(tx: Repository) -> Session | None:
            payload = self._tokens.read(token, self._clock.now(tx))
            return tx.sessions.session_of_token(str(payload["jti"]))

        try:
            session = self._store.read(look)
        except InvalidToken:
            return None
        return None if session is None else session.id

    def passport(self, token: str) -> Passport | None:
        """What a token of a configured issuer says; None for a token of nobody here. Raises Refusal."""
        now = self._store.read(self._clock.now)
        try:
            return self._verification.issuers.read(
                token, at=now, simulated=self._verification.anchors.simulated
            )
        except KeysUnavailable:
            raise Refusal(503, "InternalError", "the issuer's keys cannot be had now") from None
        except (Malformed, Rejected) as error:
            # What the issuer did not sign leaves no row: anybody can send it.
            refusal = Refusal(
                401,
                "TokenVerifierError",
                "the token was not accepted",
                problems=error.problems,
                audited=not error.codes & _UNSIGNED,
            )
            raise self._refused("passport-refused", refusal, {"token": hashed(token).hex()}) from None

    def _of_session(self, session: Session, facts: Facts, noted: dict[str, Any]) -> Recipient:
        """Raises Refusal."""
        if not session.attested <= facts.at < session.expires:
            raise _Ended(facts.at)
        noted["session"] = session.id.hex()
        verified = self._claims_of(session, facts)
        noted |= {"claims": claims_digest(verified), "simulated": verified.simulated}
        codec = self._codec(session.protocol)
        key = codec.read_key(dict(session.key))
        return Recipient(
            session.id, verified, key, codec, session.attested, session.expires, session.token_id
        )

    def _claims_of(self, session: Session, facts: Facts) -> Verified:
        """The session's claims, opened under the key, times and TEE they were sealed with."""
        verified = opened(session, self._keys.sessions(facts.at))
        if verified is None:
            raise Refusal(401, "TokenNotFound", "attest again", audited=True)
        if session.collateral != facts.basis:
            # A list of today may revoke what yesterday's did not, and roots may be others (another replica,
            # another start); the claims alone cannot tell.
            raise Refusal(401, "AttestationError", "the endorsements changed; attest again", audited=True)
        if _newer_list(facts.lists, verified.memory):
            raise Refusal(401, "AttestationError", "a revocation list changed; attest again", audited=True)
        if facts.at >= verified.expires:
            raise Refusal(401, "AttestationError", "the endorsements ran out; attest again", audited=True)
        binding = verified.claims.get("binding", {})
        if binding.get("nonce") != "true" or binding.get("key") != "true":
            raise Refusal(401, "AttestationError", "the evidence binds no key", audited=True)
        return verified

    def _owners_agree(
        self, vouched: Vouched, facts: Facts
    ) -> tuple[list[dict[str, str]], list[dict[str, str]], list[Problem]]:
        """Every owner has at least one enabled rule for the path, and every such rule agrees, now.

        The rules that agreed and those that did not, for the audit row, and why not. All owners and rules are
        asked, so that one round shows everything there is to repair.
        """
        problems: list[Problem] = []
        agreed: list[dict[str, str]] = []
        refusing: list[dict[str, str]] = []
        if not facts.owners:
            problems.append(problem("kbs.owner.none"))
        for name, owner in facts.owners.items():
            if owner is None or not owner.enabled:
                problems.append(problem("kbs.owner.disabled", where=name))
                continue
            own = [rule for rule in facts.rules if rule.owner == name]
            if not own:
                problems.append(problem("kbs.owner.no-rule", where=name))
            for rule in own:
                asked = {
                    "owner": name,
                    "rule": str(rule.id),
                    "path": str(rule.pattern),
                    "policy": rule.digest,
                }
                try:
                    policy = policy_of(rule)
                    appraise(vouched, policy, at=facts.at).require_release()
                except (Denied, Malformed) as error:
                    refusing.append(asked)
                    said = f"{name}:{rule.pattern}"
                    problems += [replace(one, where=f"{said}: {one.where}") for one in error.problems]
                else:
                    agreed.append({**asked, "policy": policy.digest})
        return agreed, refusing, problems

    def _denied(self, problems: Sequence[Problem]) -> Refusal:
        # Judged by the policies of now, so only time itself can be cured by attesting again.
        too_old = bool(problems) and all(one.code == "policy.time.evidence-age" for one in problems)
        return Refusal(
            401 if too_old else self._settings.deny_status,
            "PolicyDeny",
            "the owners' policies do not release this to this machine",
            problems=problems,
            audited=True,
        )

    # -- refusals -----------------------------------------------------------------------------------

    def _refused(self, event: str, refusal: Refusal, facts: Mapping[str, Any]) -> Refusal:
        """Write the refusal's row in a transaction of its own: the one it ends was rolled back.

        Requests without evidence leave no row: anyone could fill the trail with them. Refused evidence does,
        once for each challenge, because an owner wants to know of it.
        """

        def note(tx: Repository) -> None:
            tx.audit.append(
                {
                    **facts,
                    "event": event,
                    "at": instant(self._clock.now(tx)),
                    "reason": refusal.reason,
                    "status": refusal.status,
                    "type": refusal.kind,
                    **noted_problems("problems", refusal.problems),
                }
            )

        if refusal.audited:
            self._store.write(note)
        return refusal


def _not_accepted(error: Malformed | Rejected) -> Refusal:
    if error.codes & UNASKED:
        # Nothing is wrong with the evidence that is known of: another challenge may find what was missing.
        status, detail = 503, "endorsements of this machine cannot be had now; attest again soon"
    else:
        status, detail = 401, "the evidence was not accepted"
    return Refusal(status, "AttestationError", detail, problems=error.problems, audited=True)


def _attest_first() -> Refusal:
    return Refusal(401, "TokenNotFound", "attest first")


def _lease_ended(ended: datetime, at: datetime) -> Refusal:
    """What a session or token was given on lease, it gets again until that ends; evidence of before renews nothing."""
    one = problem("kbs.lease.ended", expected=f"until {instant(ended)}", found=instant(at))
    return Refusal(401, "TokenNotFound", "the lease has ended; attest again", problems=[one], audited=True)


def _of_passport(passport: Passport, facts: dict[str, Any], now: datetime) -> Recipient:
    """Raises Refusal."""
    attested = passport.attested
    facts |= {
        "issuer": attested.issuer,
        "token": passport.id.hex(),
        "claims": claims_digest(attested),
        "simulated": attested.simulated,
    }
    if now >= attested.expires:
        raise Refusal(401, "TokenNotFound", "the token has ended; attest again", audited=True)
    try:
        key = _PASSPORTS.read_key(dict(attested.key or {}))
    except Malformed as error:
        raise Refusal(
            401,
            "TokenVerifierError",
            "the token's key cannot be used",
            problems=error.problems,
            audited=True,
        ) from None
    return Recipient(
        passport.id,
        attested,
        key,
        _PASSPORTS,
        attested.at,
        attested.expires,
        encode(attested.token_id) or None,
    )


def _end(tx: Repository, now: datetime) -> None:
    tx.sessions.forget_expired(now)
    tx.releases.forget_expired(now)
    end_kept(tx, now)
    tx.leases.forget(now)


def _version_for(
    given: Sequence[Given], tx: Repository, resource: ResourcePath, now: datetime
) -> SecretVersion | None:
    """The current version; in an overlap, for a session that has the one before it, that one again while it is enabled."""
    current = tx.registry.current(resource)
    for one in reversed(given):
        if current is None or one.version == current.version:
            break
        older = tx.registry.version(resource, one.version)
        if older is not None and older.enabled and older.overlaps is not None and now < older.overlaps:
            return older
    return current


def _stopped(stops: Iterable[Stop]) -> list[Problem]:
    return [problem("kbs.stopped", one.owner or "the broker", found=one.reason) for one in stops]


def _names(recipient: Recipient, facts: Facts) -> list[tuple[str, str]]:
    """All that this release rests on and that can be revoked."""
    names = [("session", recipient.id.hex()), *names_of_machine(recipient.vouched.claims)]
    if recipient.token is not None:
        names.append(("token", recipient.token))
    # Of owners alone: a stranger's rule for this path, of the same text, must not end what others share.
    names += [("policy", rule.digest) for rule in facts.rules if rule.owner in facts.owners]
    if facts.secret is not None:
        names += [
            ("secret", str(facts.secret.path)),
            ("version", f"{facts.secret.path}@{facts.secret.version}"),
        ]
    return names


def _repeats(recipient: Recipient, facts: Facts) -> Given | None:
    """The release of this version to this session and key, None where there was none."""
    wanted = None if facts.secret is None else (facts.secret.version, recipient.key.thumbprint)
    return next((one for one in facts.given if (one.version, one.key) == wanted), None)


def _unmet(
    secret: SecretVersion, agreed: Sequence[Mapping[str, str]], repeats: Given | None, facts: Facts
) -> list[Problem]:
    """Of the version's terms and the owners' consents. A repeat is given nothing new, so that counts do not end it.

    agreed: the rules of all owners, each with the digest of the policy that was asked: that is what a consent must name.
    """
    found = [] if secret.enabled else [problem("kbs.secret.disabled", f"version {secret.version}")]
    found += secret.terms.against(facts.count if repeats is None else Count(), facts.at)
    policies = policies_of(((one["owner"], one["policy"]) for one in agreed), secret.owners)
    for name, standing in facts.standing.items():
        found += consent.against(
            standing,
            broker=facts.broker,
            owner=name,
            path=secret.path,
            version=secret.version,
            policies=policies,
            at=facts.at,
            counted=repeats is None,
        )
    return found


def _newer_list(newest: str, memory: Memory) -> bool:
    """Whether a revocation list was seen since that is newer than the one this machine was verified with: what it
    revokes, the claims alone cannot tell."""
    lists = read_json(newest, where="lists")
    return any(read_instant(lists.get(name, instant(date))) > date for name, date in memory.crls.items())


def _record_release(tx: Repository, grant: Grant, noted: Mapping[str, Any]) -> AuditRow:
    """The row of this release. Whoever asks again for what his session and key were given (his answer was lost)
    was decided about again, but is given nothing that counts: `repeat`, with the number of the first row."""
    recipient, secret, key = grant.recipient, grant.secret, grant.recipient.key
    facts = {**noted, "at": instant(grant.at), "version": secret.version, "agreed": grant.agreed}
    facts["key"] = key.thumbprint
    ends = grant.lease
    if ends is not None:
        facts["lease"] = instant(ends)
    if grant.repeats is not None:
        return tx.audit.append({**facts, "event": "repeat", "first": grant.repeats.audit})
    row = tx.audit.append({**facts, "event": "released"})
    given = (recipient.id, secret.path, secret.version, key.thumbprint)
    tx.releases.add(*given, audit=row.number, expires=recipient.expires)
    for name in (of_version(secret.path, secret.version), *grant.counted):
        tx.counts.add(name, grant.at)
    for name in grant.hourly:
        tx.counts.add_within(of_owner(name), grant.at, HOUR)
    if ends is not None:
        platforms = platforms_of(recipient.vouched.claims)
        tx.leases.add(Lease(row.number, *given, given=grant.at, ends=ends, platforms=platforms))
    return row


def _cannot_open(error: KeyStoreError) -> Refusal:
    """The cause is for the audit row: a guest learns whether asking again may help."""
    if isinstance(error, KeyStoreUnavailable):
        return Refusal(503, "InternalError", "the key store does not answer; try again", audited=True)
    return Refusal(500, "InternalError", "the secret cannot be opened", audited=True)


def _age(challenge: Challenge, now: datetime) -> int:
    return int((now - challenge.created).total_seconds())


def _token_answer(token: str) -> bytes:
    return canonical({"token": token})


def _known(cookie: str | None) -> str:
    """A cookie that named a challenge a moment ago."""
    if cookie is None:
        raise RuntimeError("a challenge was found without its cookie")
    return cookie


def _sentence(error: Malformed) -> str:
    """What was wrong with the form of a message: the sender may know that."""
    first: Mapping[str, Any] = error.problems[0].as_dict()
    return f"{first['message']} ({first['where']})"
