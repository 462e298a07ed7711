"""What all items of a batch share, and the judge that each process makes of it once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from attest.anchors import Anchors
from attest.binding import Expected
from attest.cache import Cache
from attest.checks import CheckRecord
from attest.endorsements import Endorsements
from attest.errors import AttestError, Malformed
from attest.evidence import Evidence
from attest.fleet.items import Content, Item, name_of, place_of, read_item, wrong
from attest.memory import Memory
from attest.problems import problem
from attest.recognise import Found, recognise
from attest.result.answer import Answer, of_appraisal, of_refusal, shadow_of
from attest.verified import Verified
from attest.verifier import verify

if TYPE_CHECKING:
    from attest.dsse import TrustedKeys
    from attest.policy import Policy
    from attest.policy.floors import Floors

CACHE_ENTRIES = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """Plain data that any process can be given.

    at: the instant of all items that name none. shared: name and bytes of endorsements for all. expected:
    what all items must bind, unless they say themselves. simulator_roots: PEM, None for the vendors' roots
    alone. policy: its name and text, None for the defaults. parameters: the policy's. policy_files: name and bytes of what
    it extends by file. shadow, shadow_parameters, shadow_files: the same of a policy that is reported beside it. floors:
    None for those of the package. bundle_keys: PEM of
    those who may sign bundles of endorsements. memory: newest collateral seen; read, not updated.
    """

    at: datetime
    shared: tuple[tuple[str, bytes], ...] = ()
    expected: Expected = field(default_factory=Expected)
    simulator_roots: bytes | None = None
    policy: tuple[str, bytes] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    policy_files: tuple[tuple[str, bytes], ...] = ()
    shadow: tuple[str, bytes] | None = None
    shadow_parameters: Mapping[str, str] = field(default_factory=dict)
    shadow_files: tuple[tuple[str, bytes], ...] = ()
    floors: Floors | None = None
    bundle_keys: tuple[bytes, ...] = ()
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """Signed bundles that opened, and the checks of opening them."""

    bundles: tuple[Endorsements, ...] = ()
    checks: tuple[CheckRecord, ...] = ()


class Judge:
    """Judges items of one job, with endorsements and policy read once and a cache that stays warm.

    Raises Malformed or Rejected where what all items share cannot be read or opened, ValueError for roots
    that are no simulator's.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._anchors = Anchors.production()
        if job.simulator_roots is not None:
            self._anchors = self._anchors.with_simulator(job.simulator_roots)
        self._policy = _policy(job.policy, job.parameters, job.policy_files, job.floors)
        if self._policy is None and job.floors is not None:
            from attest.policy import Policy

            self._policy = Policy.defaults(job.floors)
        self._shadow = _policy(job.shadow, job.shadow_parameters, job.shadow_files, job.floors)
        self._keys: TrustedKeys | None = None
        if job.bundle_keys:
            from attest.dsse import TrustedKey, TrustedKeys

            self._keys = TrustedKeys([TrustedKey.read("endorsements", pem) for pem in job.bundle_keys])
        self._cache = Cache(CACHE_ENTRIES)
        self._shared, self._sealed = self._read_shared()

    def line(self, item: Item) -> bytes:
        """The answer to one item, one line of JSON. Raises nothing: an error is an answer too."""
        try:
            content = read_item(item)
        except Malformed as error:
            return write(item, name_of(item), of_refusal(error, self._job.at))
        try:
            answer = self._answer(content, place_of(item))
        except Exception as error:  # noqa: BLE001  (one item must not end the others; it is told as what it is)
            answer = failed(self._job.at, type(error).__name__)
        return write(item, content.id, answer)

    def _answer(self, content: Content, where: str) -> Answer:
        at = content.at or self._job.at
        try:
            expected = replace(self._job.expected, **content.expected)
        except ValueError as error:
            return of_refusal(
                wrong(str(error), where),
                at,
            )
        try:
            verified, opened = self._verify(content, at, expected)
        except AttestError as error:
            return of_refusal(error, at)
        from attest.policy import appraise

        answer = of_appraisal(appraise(verified, self._policy, at=at))
        if self._shadow is not None:
            shadow = shadow_of(appraise(verified, self._shadow, at=at), answer.verdict)
            answer = replace(answer, shadow=shadow)
        # A bundle is judged before what came out of it.
        return replace(answer, checks=(*opened, *answer.checks)) if opened else answer

    def verified(self, content: Content) -> Verified:
        """The machine, for whoever asks several policies about it. Raises Malformed or Rejected."""
        return self._verify(content, content.at or self._job.at, self._job.expected)[0]

    def _verify(
        self, content: Content, at: datetime, expected: Expected
    ) -> tuple[Verified, tuple[CheckRecord, ...]]:
        evidence, endorsements, opened = self._read(content)
        verified = verify(
            evidence,
            endorsements=endorsements,
            at=at,
            expected=expected,
            anchors=self._anchors,
            cache=self._cache,
            memory=self._job.memory,
        )
        return verified, opened

    def _read(self, content: Content) -> tuple[Evidence, Endorsements, tuple[CheckRecord, ...]]:
        found = Found()
        for name, data in content.files:
            recognise(name, data, found)
        evidence = found.evidence()
        own = self._opened(found)
        given = found.endorsements()
        # The same object each time where an item brings nothing: what is found in it once is kept.
        endorsements = self._shared if given == Endorsements() else given + self._shared
        bundles = (*own.bundles, *self._sealed.bundles)
        if bundles:
            from attest.sources.coverage import select

            for bundle in bundles:
                endorsements = endorsements + select(bundle, evidence)
        return evidence, endorsements, (*self._sealed.checks, *own.checks)

    def _read_shared(self) -> tuple[Endorsements, _Opened]:
        found = Found(bounded=False)
        for name, data in self._job.shared:
            recognise(name, data, found)
        if found.cpus or found.devices:
            raise Malformed(problem("evidence.several", expected="endorsements only"))
        sealed = self._opened(found)
        return found.endorsements(), sealed

    def _opened(self, found: Found) -> _Opened:
        """What signed bundles hold. Without keys they stay where they are, and reading refuses them."""
        if self._keys is None or not found.sealed:
            return _Opened()
        from attest.sources.opening import BundleReader

        reader = BundleReader(self._keys, self._job.at, self._job.memory)
        sealed, found.sealed = found.sealed, []
        bundles = tuple(reader.open(name, envelope).endorsements() for name, envelope in sealed)
        return _Opened(bundles, tuple(reader.log.records()))


def _policy(
    given: tuple[str, bytes] | None,
    parameters: Mapping[str, str],
    files: tuple[tuple[str, bytes], ...],
    floors: Floors | None,
) -> Policy | None:
    if given is None:
        return None
    from attest.policy import Policy

    name, text = given
    return Policy.from_text(text, name, parameters=parameters, files=dict(files), floors=floors)


def failed(at: datetime, kind: str) -> Answer:
    """The answer where the verifier itself failed."""
    return of_refusal(Malformed(problem("fleet.failed", found=kind)), at)


def lost(item: Item, at: datetime) -> bytes:
    """The line of an item whose process ended under it."""
    return write(item, name_of(item), of_refusal(Malformed(problem("fleet.worker-lost")), at))


def write(item: Item, name: str | None, answer: Answer) -> bytes:
    if name is not None:
        # A file's name may be no text: strict readers of JSON would lose the whole line.
        name = name.encode("utf-8", "backslashreplace").decode()
    document = {"index": item.index, "id": name, **answer.as_dict()}
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
