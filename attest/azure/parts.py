"""An Azure machine's evidence given as separate files, put together.

The HCL report, the quote's message and signature, a quote as JSON, the TD quote, the certificate of the
attestation key: as the tools of the TPM and of Azure leave them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from attest.azure.ak import NAME_SUFFIX
from attest.azure.evidence import AzureEvidence
from attest.azure.hcl import HclReport
from attest.azure.tpm import TpmQuote
from attest.errors import Malformed
from attest.evidence import Verifiable
from attest.problems import malformed, problem
from attest.snp.report import Report
from attest.tdx.quote import Quote
from attest.x509 import Certificate


@dataclass
class AzureParts:
    """What was found so far, in the order of the files."""

    hcl: list[HclReport] = field(default_factory=list)
    quotes: list[TpmQuote] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    signatures: list[bytes] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.hcl, self.quotes, self.messages, self.signatures, self.certificates))

    def shown(self) -> Iterator[tuple[str, object]]:
        """(what it is, the part) of each, for people."""
        yield from (("hcl report", hcl) for hcl in self.hcl)
        yield from (("tpm quote", quote) for quote in self.quotes)
        yield from (("tpm quote", {"message": message}) for message in self.messages)
        yield from (("tpm quote", {"signature": signature}) for signature in self.signatures)
        for certificate in self.certificates:
            names = {"subject": certificate.common_name, "issuer": certificate.issuer_common_name}
            yield "ak certificate", names

    def put_together(
        self, cpus: list[tuple[str, Verifiable]], certificates: list[Certificate]
    ) -> list[tuple[str, Verifiable]]:
        """The CPU evidence of `cpus` and of these parts. certificates: loose ones, among which may be that
        of an attestation key. Raises Malformed when parts are missing or there are two of one."""
        own = list(dict.fromkeys(self.certificates + [one for one in certificates if _is_ak(one)]))
        whole = [cpu for _, cpu in cpus if isinstance(cpu, AzureEvidence)]
        if not self and not whole:
            return cpus
        if len(own) > 1:
            raise _several("one certificate of an attestation key")
        loose = self.hcl or self.quotes or self.messages or self.signatures
        if whole and not loose:
            return [(where, _with_certificate(cpu, own)) for where, cpu in cpus]
        if not whole and not self.hcl:
            raise Malformed(
                problem("evidence.missing", expected="the HCL report of the machine whose TPM this is")
            )
        if whole or len(set(self.hcl)) != 1:
            raise _several("one HCL report, with its TPM quote")
        (hcl,) = set(self.hcl)
        rest = [(where, cpu) for where, cpu in cpus if not _is_within(cpu, hcl)]
        td_quote = rest[0][1] if hcl.kind == "tdx" and len(rest) == 1 else None
        if not isinstance(td_quote, Quote):
            td_quote = None
        else:
            rest.pop()
        evidence = AzureEvidence(hcl.kind, hcl, None, self._quote(), td_quote, own[0] if own else None)
        return [("the Azure parts", evidence), *rest]

    def _quote(self) -> TpmQuote | None:
        if len(self.quotes) + max(len(self.messages), len(self.signatures)) > 1:
            raise _several("one TPM quote")
        if len(self.messages) != len(self.signatures):
            raise malformed(
                "A TPM quote is a message and its signature",
                where="TPM quote",
                expected="both",
                found="the message alone" if self.messages else "the signature alone",
            )
        if self.messages:
            return TpmQuote.parse(self.messages[0], self.signatures[0], None)
        return self.quotes[0] if self.quotes else None


def _is_ak(certificate: Certificate) -> bool:
    return certificate.common_name.endswith(NAME_SUFFIX)


def _is_within(cpu: Verifiable, hcl: HclReport) -> bool:
    """The SNP report that stands in the HCL report too."""
    return isinstance(cpu, Report) and cpu.raw == hcl.area


def _with_certificate(cpu: Verifiable, own: list[Certificate]) -> Verifiable:
    if not isinstance(cpu, AzureEvidence) or not own or cpu.certificate == own[0]:
        return cpu
    if cpu.certificate is not None:
        raise _several("one certificate of an attestation key")
    return replace(cpu, certificate=own[0])


def _several(expected: str) -> Malformed:
    return Malformed(problem("evidence.several", expected=expected))
