"""What an endorsement is worth by itself: whose it is, whether it leads to a pinned root, when it ends.

Not a verification of evidence: whether a certificate fits a report is asked there, with every rule of its
vendor. Here a lone file is placed: signed, link by link, down from a root we pin, or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from cryptography.x509 import BasicConstraints, KeyUsage

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.claims import instant
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.untrusted import escape
from attest.x509 import Certificate, Crl

if TYPE_CHECKING:
    from attest.nvidia.rim import Rim

State = Literal["current", "not-yet", "ended", "revoked", "unauthentic"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """kind: certificate, crl, tcb-info, qe-identity, rim or ocsp. about: whose it is, safe to print. root:
    common name of the pinned root it leads to, None for none. begins, ends: its own dates; ends None where
    it names no end. why: what keeps it from being authentic."""

    kind: str
    about: str
    root: str | None
    simulated: bool
    begins: datetime | None
    ends: datetime | None
    revoked: bool = False
    why: str | None = None

    @property
    def authentic(self) -> bool:
        return self.root is not None

    def state(self, at: datetime) -> State:
        if not self.authentic:
            return "unauthentic"
        if self.revoked:
            return "revoked"
        if self.begins is not None and at < self.begins:
            return "not-yet"
        if self.ends is None or at > self.ends:
            return "ended"
        return "current"

    def as_dict(self, at: datetime) -> dict[str, str | bool | None]:
        return {
            "kind": self.kind,
            "about": self.about,
            "authentic": self.authentic,
            "state": self.state(at),
            "root": self.root,
            "simulated": self.simulated,
            "begins": None if self.begins is None else instant(self.begins),
            "ends": None if self.ends is None else instant(self.ends),
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class _Root:
    name: str
    simulated: bool


class Judge:
    """at: aware. beside: certificates that help to find issuers and are not judged themselves."""

    def __init__(self, anchors: Anchors, *, beside: Iterable[Certificate] = ()) -> None:
        self._anchors = anchors
        self._roots = {anchor.spki_sha256: anchor for anchor in anchors.roots}
        self._given: dict[Certificate, None] = {}
        self._placed: dict[Certificate, _Root] | None = None
        self._issuers: dict[bytes, list[Certificate]] = {}
        self._cache = Cache()
        self.add(anchor.certificate for anchor in anchors.roots)
        self.add(anchors.intermediates)
        self.add(beside)

    def add(self, certificates: Iterable[Certificate]) -> None:
        """Help of more certificates; they are believed no sooner for it."""
        self._given.update(dict.fromkeys(certificates))
        self._placed = None

    def judge(self, endorsements: Endorsements, at: datetime) -> list[Judgement]:
        """One judgement for each endorsement, in the order of `Endorsements`."""
        for document in endorsements.documents:
            self.add(document.chain)
        rims = [self._parsed(rim) for rim in endorsements.rims]
        for rim in rims:
            if not isinstance(rim, str):
                self.add(rim.chain)
        self.add(endorsements.certificates)
        lists = [self._crl(crl) for crl in endorsements.crls]
        good = [crl for crl, one in zip(endorsements.crls, lists, strict=True) if one.authentic]
        return [
            *(self._certificate(certificate, good) for certificate in endorsements.certificates),
            *lists,
            *(self._document(document) for document in endorsements.documents),
            *(self._rim(rim, at) for rim in rims),
            *(self._ocsp(answer, at) for answer in endorsements.ocsp),
        ]

    # -- certificates ----------------------------------------------------------------------------------

    def _certificate(self, certificate: Certificate, lists: Sequence[Crl]) -> Judgement:
        root = self._root_of(certificate)
        about = certificate.common_name.shown or "without a name"
        if root is None:
            return Judgement(
                "certificate", about, None, False, certificate.not_before, certificate.not_after,
                why=f"no path to a pinned root; issuer {certificate.issuer_common_name.shown or 'without a name'}",
            )  # fmt: skip
        # AMD's leaves all have serial number 0: a list can speak of none of them.
        revoked = certificate.serial != 0 and any(
            crl.issuer_der == certificate.issuer_der and crl.revokes(certificate.serial) for crl in lists
        )
        return Judgement(
            "certificate", about, root.name, root.simulated, certificate.not_before, certificate.not_after, revoked
        )  # fmt: skip

    def _root_of(self, certificate: Certificate) -> _Root | None:
        return self._authentic.get(certificate)

    @property
    def _authentic(self) -> dict[Certificate, _Root]:
        """The certificates that lead to a pinned root, found from the roots down: each is looked at once for
        each genuine issuer of its name, however many forged ones of that name lie beside."""
        if self._placed is not None:
            return self._placed
        placed: dict[Certificate, _Root] = {}
        named: dict[bytes, list[Certificate]] = {}
        self._issuers = {}
        for certificate in self._given:
            anchor = self._roots.get(certificate.spki_sha256)
            # Anybody can write a certificate around a root's public key; a re-issued root is signed with it.
            if anchor is not None and (
                certificate == anchor.certificate or certificate.issued_by(anchor.certificate)
            ):
                placed[certificate] = _Root(anchor.certificate.common_name.shown, anchor.simulated)
            else:
                named.setdefault(certificate.issuer_der, []).append(certificate)
        reached = list(placed)
        for issuer in reached:
            self._issuers.setdefault(issuer.subject_der, []).append(issuer)
            if not _may_issue(issuer):
                continue
            for certificate in named.get(issuer.subject_der, ()):
                if certificate not in placed and certificate.issued_by(issuer):
                    placed[certificate] = placed[issuer]
                    reached.append(certificate)
        self._placed = placed
        return placed

    def _issuers_named(self, subject: bytes) -> Sequence[Certificate]:
        """Authentic certificates of this name."""
        return self._issuers.get(subject, ()) if self._authentic else ()

    # -- lists -----------------------------------------------------------------------------------------

    def _crl(self, crl: Crl) -> Judgement:
        name = escape(crl.issuer_text)
        for issuer in self._issuers_named(crl.issuer_der):
            usage = issuer.extension(KeyUsage)
            if (usage is None or usage.crl_sign) and crl.signed_by(issuer):
                root = self._root_of(issuer)
                if root is not None and not crl.unknown_critical:
                    number = "" if crl.number is None else f", number {crl.number}"
                    about = f"{issuer.common_name.shown}{number}, {len(crl.parsed)} revoked"
                    return Judgement(
                        "crl", about, root.name, root.simulated, crl.this_update, crl.next_update
                    )
        return Judgement(
            "crl", name, None, False, crl.this_update, crl.next_update, why="not signed by an issuer under a pinned root"
        )  # fmt: skip

    # -- Intel -----------------------------------------------------------------------------------------

    def _document(self, document: SignedDocument) -> Judgement:
        from attest.tdx.documents import authentic_collateral

        log = CheckLog()
        collateral = authentic_collateral(
            Endorsements(certificates=tuple(self._authentic), documents=(document,)),
            anchors=self._anchors,
            log=log,
            cache=None,
        )
        for info in collateral.tcb_infos:
            content = info.content
            return Judgement(
                document.kind,
                f"FMSPC {content.fmspc.hex()}, evaluation {content.evaluation}",
                info.path.root.common_name.shown, info.path.simulated, content.issue_date, content.next_update,
            )  # fmt: skip
        for identity in collateral.qe_identities:
            return Judgement(
                document.kind,
                f"TD_QE, evaluation {identity.content.evaluation}",
                identity.path.root.common_name.shown, identity.path.simulated,
                identity.content.issue_date, identity.content.next_update,
            )  # fmt: skip
        return Judgement(document.kind, "Intel", None, False, None, None, why=_first(log, document.kind))

    # -- NVIDIA ----------------------------------------------------------------------------------------

    @staticmethod
    def _parsed(rim: Rim | bytes) -> Rim | str:
        """The manifest, or why it is none."""
        from attest.nvidia.rim import Rim

        if isinstance(rim, Rim):
            return rim
        try:
            return Rim.parse(rim)
        except Malformed as error:
            return str(error.problems[0])

    def _rim(self, rim: Rim | str, at: datetime) -> Judgement:
        from attest.nvidia.rim_signature import check_rim

        if isinstance(rim, str):
            return Judgement("rim", "unreadable", None, False, None, None, why=rim)
        stated = rim.stated
        about = f"{stated.edition} {stated.product.shown} {stated.version.shown}"
        log = CheckLog()
        verified = check_rim(rim, "gpu.driver-rim", at=at, anchors=self._anchors, log=log, cache=self._cache)
        if verified is None:
            return Judgement("rim", about, None, False, None, None, why=_first(log, None))
        path = verified.path
        return Judgement(
            "rim", about, path.root.common_name.shown, path.simulated, path.not_before, path.not_after
        )

    def _ocsp(self, blob: bytes, at: datetime) -> Judgement:
        from attest.nvidia.ocsp import check_status, read_answers

        check = "gpu.revocation"
        log = CheckLog()
        answers = read_answers([blob], check, log, self._cache)
        for answer in answers:
            serials = {single.serial for single in answer.singles}
            for certificate, root in self._authentic.items():
                if certificate.serial not in serials:
                    continue
                for issuer in self._issuers_named(certificate.issuer_der):
                    trial = CheckLog()
                    status = check_status(
                        certificate, issuer, answers, at=at, check=check, log=trial, cache=self._cache, memory=None
                    )  # fmt: skip
                    if status.single is None:
                        continue
                    single = status.single
                    return Judgement(
                        "ocsp", f"{certificate.common_name.shown} is {single.said}", root.name, root.simulated,
                        single.this_update, single.next_update or single.this_update + timedelta(hours=1),
                    )  # fmt: skip
            return Judgement(
                "ocsp", f"serial {min(serials):#x}", None, False, answer.singles[0].this_update,
                answer.singles[0].next_update,
                why=_first(log, None, "its certificate is not at hand, or its responder is not the issuer's"),
            )  # fmt: skip
        return Judgement("ocsp", "unreadable", None, False, None, None, why=_first(log, None))


def _may_issue(issuer: Certificate) -> bool:
    constraints, usage = issuer.extension(BasicConstraints), issuer.extension(KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)


def _first(
    log: CheckLog, kind: str | None, otherwise: str = "its signature was not followed to a root"
) -> str:
    """The first problem that is not about something else that is missing."""
    for problem in log.problems:
        if kind is None or not problem.code.endswith(".missing"):
            return str(problem)
    return otherwise


def earliest_end(judgements: Iterable[Judgement]) -> datetime | None:
    """When the first of them ends; None when one names no end or there are none."""
    ends = [judgement.ends for judgement in judgements]
    if not ends or None in ends:
        return None
    return min(end for end in ends if end is not None)
