"""From a configuration to a broker that can serve: keys, database, anchors and endorsements, put together once."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from attest import Anchors, Malformed, Policy, Rejected
from attest.dsse import TrustedKey, TrustedKeys, key_id
from attest.result.passport import read_jwks
from attest.sources.failure import FetchFailed
from attest.sources.sources import Sources
from kbs.administration import Administration
from kbs.audit import Head
from kbs.broker import Broker, Settings, Verification
from kbs.budget import Budget, Rate
from kbs.checkpoint import read_checkpoint
from kbs.collateral import Folder, NoCollateral
from kbs.config import Config, InvalidConfig
from kbs.config.database import Url
from kbs.config.issuers import IssuerSection
from kbs.config.tokens import TokenSection
from kbs.fetching import Fetcher, NoFetcher, VendorFetcher
from kbs.housekeeping import Housekeeping
from kbs.http.certificates import Certificates
from kbs.keys.configured import key_wrap
from kbs.keys.files import read_private
from kbs.keys.ring import KeyRing
from kbs.observing import Observer, Several
from kbs.observing.traces import Traces, provider
from kbs.passport import Issuers
from kbs.passport.fetched import FetchedKeys
from kbs.passport.keys import KeyFile, KeySource
from kbs.places import FolderPlace, Messenger, Place, UrlPlace
from kbs.readiness import Readiness
from kbs.sign_in import SignIn
from kbs.sign_in.keys import DiscoveredKeys, read_keys
from kbs.sign_in.provider import KeySource as SignInKeys
from kbs.sign_in.provider import Provider
from kbs.state import DATABASE, ENDORSEMENTS_CACHE, KEYS
from kbs.store.address import Address, PostgresServer, SqliteFile, Tls
from kbs.store.database import Store, connected, migrate, whole
from kbs.store.kinds import Purpose
from kbs.store.rollback import require_heads
from kbs.store.schema import current
from kbs.token import TokenTerms

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from kbs.observing.metrics import Metrics

_log = structlog.get_logger("kbs")


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that the doors are opened on."""

    store: Store
    broker: Broker
    administration: Administration
    keys: KeyRing
    fetcher: Fetcher
    messenger: Messenger
    housekeeping: Housekeeping
    readiness: Readiness
    metrics: Metrics | None
    spans: TracerProvider | None

    def start(self) -> None:
        """What works beside the doors."""
        self.messenger.start()
        self.housekeeping.start()

    def close(self) -> None:
        self.housekeeping.stop()
        self.messenger.stop()
        if self.spans is not None:
            self.spans.shutdown()
        self.fetcher.close()
        self.keys.wrap.close()
        self.store.close()


def build(config: Config, heads: Iterable[Head] = ()) -> Service:
    """Bring the schema to this version, and make the broker ready.

    heads: of the audit trail, kept elsewhere: a database that lacks one was rolled back, and is not served.
    Raises InvalidConfig, KeyStoreError, SchemaMismatch, Unavailable, RolledBack, attest.Malformed and OSError.
    """
    address = database_address(config)
    if isinstance(address, SqliteFile) and not address.path.is_file():
        raise InvalidConfig(
            [f"there is no broker in {config.state}: make one, kbs init --state {config.state}"]
        )
    with connected(address) as database:
        if whole(database, Purpose.READ, current) is None:
            raise InvalidConfig([f"there is no broker in {address}: make one, kbs init"])
    keys = key_ring(config)
    keys.wrap.prove()
    migrate(address)
    store = Store.open(address)
    try:
        outside = list(_kept_outside(config, store, keys))
        store.read(lambda tx: require_heads(tx, (*heads, *outside)))
    except BaseException:
        store.close()
        raise
    settings = Settings(
        session_seconds=config.guests.session_seconds,
        open_challenges=config.guests.open_challenges,
        deny_status=int(config.guests.deny_status),
        served=config.guests.served,
        tokens=_token_terms(config.tokens),
        session_days=config.record.session_days,
        evidence_days=config.record.evidence_days,
        address_rate=config.guests.requests_an_address_a_minute,
        session_rate=config.guests.requests_a_session_a_minute,
        owner_releases=config.guests.releases_an_owner_an_hour,
    )
    verified = verification(config)
    readiness = Readiness(store, keys.wrap, verified.collateral)
    metrics = None
    observers: list[Observer] = []
    if config.metrics is not None:
        from kbs.observing.gauges import Gauges
        from kbs.observing.metrics import Metrics

        metrics = Metrics(Gauges(store, verified.collateral, readiness))
        observers.append(metrics)
    spans = provider()
    if spans is not None:
        observers.append(Traces(spans.get_tracer("kbs")))
    store.observer = readiness.observer = observer = Several(observers)
    broker = Broker(store, keys, verified, settings, observer=observer)
    administration = Administration(
        store,
        keys,
        four_eyes=config.people.four_eyes,
        sign_in=sign_in(config),
        collateral=verified.collateral,
        wrong_keys_a_minute=config.people.wrong_keys_an_address_a_minute,
    )
    messenger = Messenger(
        _places(config),
        administration.record.checkpoint,
        config.record.checkpoint_seconds,
        config.record.checkpoint_rows,
    )
    return Service(
        store,
        broker,
        administration,
        keys,
        verified.fetcher,
        messenger,
        Housekeeping(broker.end),
        readiness,
        metrics,
        spans,
    )


def _places(config: Config) -> list[tuple[str, Place]]:
    """Each with its name for the log."""
    found: list[tuple[str, Place]] = []
    for place in config.record.checkpoints:
        if place.folder is not None:
            found.append((place.owner or str(place.folder), FolderPlace(place.folder)))
        else:
            trusted = ssl.create_default_context(cafile=None if place.ca is None else str(place.ca))
            found.append((place.owner or place.url or "", UrlPlace(place.url or "", trusted)))
    return found


def _kept_outside(config: Config, store: Store, keys: KeyRing) -> Iterator[Head]:
    """The newest checkpoint in each folder: a database that lacks its row was rolled back. Raises InvalidConfig for one
    that this broker did not sign, and OSError."""
    name = store.read(lambda tx: tx.broker.state().name)
    public = keys.checkpoint.public_key()
    trusted = TrustedKeys([TrustedKey("checkpoint", public, key_id(public))])
    for place in config.record.checkpoints:
        if place.folder is None:
            continue
        for document in FolderPlace(place.folder).documents(name):
            try:
                yield read_checkpoint(document, trusted).head
            except (Malformed, Rejected) as error:
                raise InvalidConfig(
                    [f"record.checkpoints: the newest in {place.folder} is none of this broker: {error}"]
                ) from None


def read_files(config: Config) -> None:
    """Read all that the configuration names but the broker's own keys and database, as `build` will.

    Raises InvalidConfig, attest.Malformed and OSError.
    """
    tls_context(config)
    verification(config)
    sign_in(config)
    _token_terms(config.tokens)


def tls_context(config: Config) -> ssl.SSLContext | None:
    """Of the certificate chain and its key as the files are now, None without TLS. Raises InvalidConfig where they are no
    pair."""
    tls = config.listen.tls
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The password is asked for on a terminal otherwise, which a service has not.
        context.load_cert_chain(tls.certificate, tls.key, lambda: b"")
    except (ssl.SSLError, OSError, ValueError):
        raise InvalidConfig(
            [
                f"listen.tls: {tls.certificate} and {tls.key} are no certificate chain and its key, both PEM, "
                "not encrypted, that this user may read"
            ]
        ) from None
    return context


def certificates(config: Config) -> Certificates | None:
    """Raises InvalidConfig."""
    tls = config.listen.tls
    if tls is None:
        return None

    def load() -> ssl.SSLContext:
        context = tls_context(config)
        assert context is not None
        return context

    return Certificates((tls.certificate, tls.key), load)


def key_ring(config: Config) -> KeyRing:
    """The broker's keys, wherever they are. Raises KeyStoreError."""
    folder = config.state / KEYS
    return KeyRing.open(folder, key_wrap(config.keys, config.former_keys, folder))


def _token_terms(section: TokenSection) -> TokenTerms:
    """Raises attest.Malformed and OSError."""
    audience = None if section.audience == "none" else section.audience
    policy = None if section.policy is None else Policy.read(section.policy)
    return TokenTerms(section.issuer, audience, policy)


def issuers(config: Config) -> Issuers:
    """Raises InvalidConfig and OSError."""
    try:
        return Issuers([(section.issuer, _keys_of(section)) for section in config.issuers])
    except ValueError as error:
        raise InvalidConfig([f"issuers: {error}"]) from None


def _keys_of(section: IssuerSection) -> KeySource:
    """Raises ValueError and OSError."""
    if section.keys is not None:
        try:
            return KeyFile(section.keys, read_jwks)
        except Malformed as error:
            raise ValueError(f"{section.name}: {section.keys}: {error}") from None
    ca = section.keys_ca
    trusted = ssl.create_default_context(cafile=None if ca is None else str(ca))
    return FetchedKeys(section.keys_url or "", read_jwks, verify=trusted)


def sign_in(config: Config) -> SignIn:
    """Raises InvalidConfig and OSError."""
    trusted: list[tuple[Provider, SignInKeys]] = []
    try:
        for section in config.people.sign_in:
            provider = section.provider
            if section.keys is not None:
                read = partial(read_keys, allowed=provider.algorithms)
                trusted.append((provider, KeyFile(section.keys, read)))
            else:
                ca = None if section.ca is None else str(section.ca)
                context = ssl.create_default_context(cafile=ca)
                trusted.append((provider, DiscoveredKeys(provider.iss, provider.algorithms, verify=context)))
        return SignIn(trusted)
    except (ValueError, Malformed) as error:
        raise InvalidConfig([f"people.sign-in: {error}"]) from None


def database_address(config: Config) -> Address:
    """Raises KeyStoreError where the password's file cannot be read, or is open to others."""
    said = config.database
    url = None if said.url is None else Url.parse(said.url)
    if url is None or url.host is None:
        path = config.state / DATABASE if url is None else Path(url.name)
        return SqliteFile(path, said.wait_seconds)
    password = None
    if said.password_file is not None:
        password = read_private(said.password_file).decode("utf-8", "surrogateescape").rstrip("\r\n")
    tls = None if said.tls is None else Tls(said.tls.ca, said.tls.certificate, said.tls.key)
    return PostgresServer(
        host=url.host,
        database=url.name,
        user=url.user,
        port=url.port,
        password=password,
        tls=tls,
        connections=said.connections,
        wait_seconds=said.wait_seconds,
        statement_seconds=said.statement_seconds,
    )


def verification(config: Config) -> Verification:
    """Raises InvalidConfig, attest.Malformed and OSError."""
    anchors = Anchors.production()
    if config.simulator_root is not None:
        try:
            anchors = anchors.with_simulator(config.simulator_root.read_bytes())
        except Malformed:
            # A file named by mistake may be a secret: nothing of it is quoted where logs are kept (T-CT).
            raise InvalidConfig(
                [f"simulator-root: {config.simulator_root}: not certificates in PEM"]
            ) from None
        _log.warning(
            "SIMULATED machines are accepted: they prove nothing about hardware",
            root=str(config.simulator_root),
        )
    collateral = NoCollateral() if config.endorsements is None else Folder(config.endorsements)
    return Verification(anchors, collateral, issuers=issuers(config), fetcher=fetcher(config, anchors))


def fetcher(config: Config, anchors: Anchors) -> Fetcher:
    """Raises InvalidConfig where answers cannot be kept."""
    section = config.sources
    if not section.fetch:
        return NoFetcher()
    try:
        sources = Sources.open(
            section.cache or config.state / ENDORSEMENTS_CACHE, hosts=section.hosts, anchors=anchors
        )
    except FetchFailed as failure:
        raise InvalidConfig([f"sources.cache: {failure.reason}"]) from None
    sources.client.proxy = section.proxy
    sources.client.ca_file = None if section.ca is None else str(section.ca)
    an_hour, a_minute = section.an_address_an_hour, section.in_all_a_minute
    budget = Budget(
        Rate(an_hour, 3600, f"{an_hour} questions an hour for one address"),
        Rate(a_minute, 60, f"{a_minute} questions a minute for all guests"),
    )
    return VendorFetcher(sources, budget, at_once=section.at_once, waiting=section.waiting)
