"""What an endorsement is worth by itself: whose it is, whether it leads to a pinned root, when it ends.

Not a verification of evidence: whether a certificate fits a report is asked there, with every rule of its
vendor. Here a lone file is placed: signed, link by link, down from a root we pin, or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from cryptography.x509 import KeyUsage

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.claims import instant
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.sources.dated import dates_of
from attest.sources.placed import Placed, Root
from attest.untrusted import escape
from attest.x509 import Certificate, Crl

if TYPE_CHECKING:
    from attest.nvidia.ocsp_answer import Answer, Single
    from attest.nvidia.rim import Rim

State = Literal["current", "not-yet", "ended", "revoked", "unauthentic", "unchecked"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """kind: certificate, crl, tcb-info, qe-identity, rim or ocsp. about: whose it is, safe to print. root:
    common name of the pinned root it leads to, None for none. begins, ends: its own dates; ends None where
    it names no end. why: what keeps it from being authentic. unchecked: that is no more than an issuer's
    certificate that is not at hand, so whether it is authentic cannot be told."""

    kind: str
    about: str
    root: str | None
    simulated: bool
    begins: datetime | None
    ends: datetime | None
    revoked: bool = False
    why: str | None = None
    unchecked: bool = False

    @property
    def authentic(self) -> bool:
        return self.root is not None

    def state(self, at: datetime) -> State:
        if not self.authentic:
            return "unchecked" if self.unchecked else "unauthentic"
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


class Judge:
    """at: aware. beside: certificates that help to find issuers and are not judged themselves."""

    def __init__(self, anchors: Anchors, *, beside: Iterable[Certificate] = ()) -> None:
        self._anchors = anchors
        self._given: dict[Certificate, None] = {}
        self._found: Placed | None = None
        self._cache = Cache()
        self.add(anchor.certificate for anchor in anchors.roots)
        self.add(anchors.intermediates)
        self.add(beside)

    def add(self, certificates: Iterable[Certificate]) -> None:
        """Help of more certificates; they are believed no sooner for it."""
        self._given.update(dict.fromkeys(certificates))
        self._found = None

    @property
    def _placed(self) -> Placed:
        if self._found is None:
            self._found = Placed(self._anchors, self._given)
        return self._found

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
            *(self._ocsp(answer) for answer in endorsements.ocsp),
        ]

    # -- certificates ----------------------------------------------------------------------------------

    def _certificate(self, certificate: Certificate, lists: Sequence[Crl]) -> Judgement:
        root = self._placed.roots.get(certificate)
        about = certificate.common_name.shown or "without a name"
        if root is None:
            issuer = certificate.issuer_common_name.shown
            why, unchecked = self._no_path(
                certificate.issuer_der,
                issuer,
                f"no path to a pinned root; issuer {issuer or 'without a name'}",
            )
            return Judgement(
                "certificate", about, None, False, certificate.not_before, certificate.not_after,
                why=why, unchecked=unchecked,
            )  # fmt: skip
        # AMD's leaves all have serial number 0: a list can speak of none of them.
        revoked = certificate.serial != 0 and any(
            crl.issuer_der == certificate.issuer_der and crl.revokes(certificate.serial) for crl in lists
        )
        return Judgement(
            "certificate", about, root.name, root.simulated, certificate.not_before, certificate.not_after, revoked
        )  # fmt: skip

    def _no_path(self, issuer: bytes, shown: str, otherwise: str) -> tuple[str, bool]:
        """Why something of this issuer leads to no root, and whether that is for want of a certificate alone."""
        lacking = self._placed.lacking(issuer, shown)
        if lacking is None:
            return otherwise, False
        return f"its issuer's certificate is not among the files ({lacking})", True

    # -- lists -----------------------------------------------------------------------------------------

    def _crl(self, crl: Crl) -> Judgement:
        name = escape(crl.issuer_text)
        for issuer in self._placed.named(crl.issuer_der):
            usage = issuer.extension(KeyUsage)
            if (usage is None or usage.crl_sign) and crl.signed_by(issuer):
                root = self._placed.roots.get(issuer)
                if root is not None and not crl.unknown_critical:
                    number = "" if crl.number is None else f", number {crl.number}"
                    about = f"{issuer.common_name.shown}{number}, {len(crl.parsed)} revoked"
                    return Judgement(
                        "crl", about, root.name, root.simulated, crl.this_update, crl.next_update
                    )
        why, unchecked = self._no_path(crl.issuer_der, name, "not signed by an issuer under a pinned root")
        return Judgement(
            "crl", name, None, False, crl.this_update, crl.next_update, why=why, unchecked=unchecked
        )

    # -- Intel -----------------------------------------------------------------------------------------

    def _document(self, document: SignedDocument) -> Judgement:
        from attest.tdx.documents import SIGNER, authentic_collateral

        log = CheckLog()
        collateral = authentic_collateral(
            Endorsements(certificates=tuple(self._placed.roots), documents=(document,)),
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
        about, begins, ends = _own_words(document, "Intel")
        if not document.chain and all(one.common_name != SIGNER for one in self._given):
            why = f"its issuer's certificate is not among the files ({SIGNER})"
            return Judgement(document.kind, about, None, False, begins, ends, why=why, unchecked=True)
        return Judgement(document.kind, about, None, False, begins, ends, why=_first(log, document.kind))

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
        verified = check_rim(
            rim, "gpu.rim.documents", at=at, anchors=self._anchors, log=log, cache=self._cache
        )
        if verified is None:
            _, begins, ends = _own_words(rim, about)
            return Judgement("rim", about, None, False, begins, ends, why=_first(log, None))
        path = verified.path
        return Judgement(
            "rim", about, path.root.common_name.shown, path.simulated, path.not_before, path.not_after
        )

    def _ocsp(self, blob: bytes) -> Judgement:
        """What the first statement says whose issuer is at hand: the certificate it speaks of need not be."""
        from attest.nvidia.ocsp import read_answers

        log = CheckLog()
        for answer in read_answers([blob], "gpu.revocation", log, self._cache):
            whys: list[tuple[str, bool]] = []
            for single in answer.singles:
                for issuer in self._placed.issuers_of(single, placed=True):
                    refused = _refused(answer, single, issuer)
                    if refused is None:
                        return self._answered(single, issuer, self._placed.roots[issuer])
                    whys.append((refused, False))
                if not whys:
                    whys.append(self._no_issuer(answer, single))
            why, unchecked = whys[0]
            first = answer.singles[0]
            return Judgement(
                "ocsp", f"serial {first.serial:#x}", None, False, first.this_update, first.next_update,
                why=why, unchecked=unchecked,
            )  # fmt: skip
        return Judgement("ocsp", "unreadable", None, False, None, None, why=_first(log, None))

    def _answered(self, single: Single, issuer: Certificate, root: Root) -> Judgement:
        names = (
            one.common_name.shown
            for one in self._placed.roots
            if one.serial == single.serial and one.issuer_der == issuer.subject_der
        )
        name = next(names, f"serial {single.serial:#x} of {issuer.common_name.shown}")
        return Judgement(
            "ocsp", f"{name} is {single.said}", root.name, root.simulated,
            single.this_update, single.next_update or single.this_update + timedelta(hours=1),
        )  # fmt: skip

    def _no_issuer(self, answer: Answer, single: Single) -> tuple[str, bool]:
        for issuer in self._placed.issuers_of(single, placed=False):
            above, shown = issuer.issuer_der, issuer.issuer_common_name.shown
            return self._no_path(above, shown, "its issuer leads to no pinned root")
        # An answer names its issuer by hashes; whoever answers for him carries his name.
        by = answer.responder
        if by is not None and by.issuer_der in {a.certificate.subject_der for a in self._anchors.roots}:
            return f"its issuer is another {by.issuer_common_name.shown} than the pinned root", False
        name = "" if by is None else f" ({by.issuer_common_name.shown})"
        return (
            f"its issuer's certificate is not among the files{name}: give the evidence or manifest too",
            True,
        )


def _refused(answer: Answer, single: Single, issuer: Certificate) -> str | None:
    """Why the answer is not this issuer's word on the certificate that `single` names; None when it is."""
    from attest.nvidia.ocsp import names_issuer, refusal
    from attest.problems import problem

    same = sum(one.serial == single.serial and names_issuer(one, issuer) for one in answer.singles)
    refused = refusal(answer, issuer)
    if refused is None and same > 1:
        refused = "nvidia.ocsp.ambiguous", "one statement", str(same)
    if refused is None:
        return None
    code, expected, found = refused
    return str(problem(code, expected=expected, found=found))


def _own_words(item: SignedDocument | Rim, about: str) -> tuple[str, datetime | None, datetime | None]:
    """What something says of itself that nobody vouches for; `about` where it cannot be read."""
    try:
        dates = dates_of(item)
    except Malformed:
        return about, None, None
    about = dates.about.removeprefix("TCB info of ").removeprefix("QE identity, ")
    return about, dates.this_update, dates.next_update


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
