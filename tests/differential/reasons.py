"""Why ours and a peer differ, and who is right: written by a person, one entry a cause.

A disagreement belongs to the first entry that matches it; one that belongs to none makes the run fail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.differential.compare import Compared, Way

_ONLY_OURS: tuple[Way, ...] = ("only ours refuses",)
_THEIRS: tuple[Way, ...] = ("only theirs refuses", "our policy refuses, they refuse")


@dataclass(frozen=True)
class Reason:
    """peers: any of these. ours: matches the first of our problem codes; theirs: their text; where: the stratum
    and what was changed there. right: who, in a word or two. why: with the document a rule stands in."""

    title: str
    peers: tuple[str, ...]
    ways: tuple[Way, ...]
    right: str
    why: str
    ours: str = ""
    theirs: str = ""
    where: str = ""

    def covers(self, one: Compared) -> bool:
        first = one.ours.codes[0] if one.ours.codes else ""
        return (
            one.peer in self.peers
            and one.way in self.ways
            and re.match(self.ours, first) is not None
            and re.search(self.theirs, one.theirs.why) is not None
            and re.search(self.where, f"{one.stratum} | {one.what}") is not None
        )


_TDX = ("go-tdx-guest", "dcap-qvl")

REASONS = (
    # dcap-qvl
    Reason(
        "SGX quotes",
        ("dcap-qvl",),
        _ONLY_OURS,
        "both",
        "dcap-qvl verifies quotes of SGX enclaves too; this verifier speaks of whole machines and says that the quote "
        "is an enclave's. Intel's quote format, version 3, is no TDX quote.",
        ours=r"tdx\.sgx-quote",
    ),
    Reason(
        "SEPT_VE_DISABLE",
        ("dcap-qvl",),
        _THEIRS,
        "both",
        "The same finding in two places: theirs is a fixed rule of the library, ours is `policy.tdx.sept-ve-disable`, "
        "which an owner may replace for paravisors of 2023 that ran so (TDX module ABI, TDATTRIBUTES bit 28).",
        theirs="SEPT_VE_DISABLE is not enabled",
    ),
    Reason(
        "Service TD",
        ("dcap-qvl",),
        _THEIRS,
        "both",
        "The same finding in two places: theirs is a fixed rule, ours is `policy.tdx.mrservicetd`: an owner may pin "
        "the hash of a service TD that he knows (TD report 1.5, MRSERVICETD).",
        theirs="Invalid MR service TD",
    ),
    Reason(
        "Order of the certificates in the quote",
        ("dcap-qvl",),
        _THEIRS,
        "ours",
        "Theirs takes the first certificate for the leaf. Intel's own library sorts by subject and issuer, and the "
        "quote format asks for no order; ours takes the one with the SGX extension for the leaf and links by name. "
        "No order makes an unsigned chain pass.",
        theirs="CaUsedAsEndEntity",
        where=r"PCK chain, order",
    ),
    Reason(
        "The last second of a revocation list",
        ("dcap-qvl",),
        _THEIRS,
        "ours",
        "At the very second of nextUpdate theirs says expired. RFC 5280, 6.3.3 (a): another list is wanted when the current time is "
        "after nextUpdate. A second decides nothing.",
        theirs="CrlExpired",
        where=r"^time",
    ),
    Reason(
        "Sizes inside the signature data",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "Theirs reads the nested sizes and does not ask whether they use up what holds them, nor that the outer "
        "certification data are of the size they say. Intel's quote format defines them as exact; they are unsigned, so a "
        "lax reader gives one quote many encodings. Nothing signed is affected.",
        ours=r"evidence\.malformed",
        where=r"^sizes and types|tdx-outer-|tdx-signature-slack",
    ),
    Reason(
        "A chain in the quote that is not three certificates",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "Certification data of type 5 are leaf, intermediate and root (Intel's quote format). Theirs takes two, or "
        "the same one twice, as long as a path can be built; ours takes exactly the three.",
        ours=r"x509\.(depth|malformed)",
        where=r"^PCK chain, order|tdx-chain-cut",
    ),
    Reason(
        "The embedded root is another",
        (*_TDX, "nvidia"),
        _ONLY_OURS,
        "ours",
        "The chain as sent ends in a root with another key, or in bytes that are no certificate. Both judge by their own "
        "pinned root; theirs leaves the sent one unread (NVIDIA's puts its own in its place), ours also asks that it has the "
        "pinned key: whoever sent this chain did not mean the vendor's. Harmless either way.",
        ours=r"x509\.(anchor|malformed)",
        where=r"PCK chain, (certificate|text) |chain: certificate 1|certificate\.4: (bit|byte|\d+ bytes)",
    ),
    Reason(
        "A certificate of the collateral's chains that does not read",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "The chains beside TCB info, QE identity and PCK list hold something that is no certificate, or text after the last. "
        "Theirs reads only the certificate it wants, and never the chain of the PCK list. PCS API v4 defines each as PEM "
        "certificates, leaf first; ours reads all it is given and refuses what does not parse. The signature was good.",
        ours=r"x509\.malformed",
        where=r"issuer_chain: ",
    ),
    # both of Intel's
    Reason(
        "Collateral of the future",
        _TDX,
        _ONLY_OURS,
        "ours",
        "The list or document was issued after the instant asked about. RFC 5280, 5.1.2.4: thisUpdate is when the list was "
        "issued; PCS API v4 gives issueDate likewise. dcap-qvl looks at issueDate, not at a list's thisUpdate; "
        "go-tdx-guest compares only the upper ends. With a clock that was set back, or for evidence judged later at its own "
        "time, theirs would use what nobody could have had.",
        ours=r"(x509\.crl\.stale|tdx\.(qe-identity|tcb-info)\.not-yet-valid)",
        where=r"^(time|swapped part)|from-tomorrow",
    ),
    Reason(
        "Fixed rules on TD attributes",
        _TDX,
        _THEIRS,
        "both",
        "The same finding in two places: theirs are rules of the library, ours of the default policy (`policy.tdx.debug`, "
        "`policy.tdx.migratable`, `policy.tdx.attributes`), which refuses likewise (TDX module ABI, TDATTRIBUTES).",
        theirs=r"Debug mode|TD profiling|TD migration|Reserved bits in TD attributes|unauthorized tdAttributes",
        where=r"^simulated",
    ),
    Reason(
        "SGX extension of the PCK certificate",
        _TDX,
        _ONLY_OURS,
        "ours",
        "Components missing or above 255, the SGX type in another encoding, a CPUSVN that is not its sixteen components: Intel's PCK certificate "
        "profile says what stands there, and TCB levels are matched against it. dcap-qvl reads what it finds; go-tdx-guest does not compare CPUSVN "
        "with the components. Only Intel signs these, so it is a second line.",
        ours=r"tdx\.pck\.extension",
        where=r"^simulated",
    ),
    Reason(
        "Documents of another form under a good signature",
        _TDX,
        _ONLY_OURS,
        "ours",
        "A level or a member that stands twice, in dcap-qvl also a version other than 3 (TCB info) and 2 (QE identity). Intel's own library refuses both "
        "(PCS API v4; its checks of levels): two readers of one doubled member may read two values. Only Intel signs these, so it is a second line.",
        ours=r"e(ndorsement|vidence)\.malformed",
        where=r"^simulated \| tdx-(tcb-info|qe-identity)-(version|level-doubled|key-doubled)",
    ),
    Reason(
        "Names of Intel's certificates",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "Theirs follows signatures and takes any certificate that the root leads to for PCK CA, PCK or TCB signer. Intel's PCK certificate profile fixes the "
        "subjects, and what a certificate may sign follows from its name: without it a PCK could stand where the TCB signer should, were it not "
        "for what else holds. Ours compares them.",
        ours=r"x509\.name",
        where=r"^simulated",
    ),
    Reason(
        "A certificate twice in the quote's chain",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "Certification data of type 5 are leaf, intermediate and root, one of each (Intel's quote format).",
        ours=r"x509\.anchor",
        where=r"^simulated \| tdx-chain-doubled",
    ),
    Reason(
        "An intermediate that may not sign certificates",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "RFC 5280, 4.2.1.3 and 6.1.4 (n): where keyUsage is present, keyCertSign must be set on an issuer. Theirs (webpki) does not look at keyUsage.",
        ours=r"x509\.key-usage",
        where=r"^simulated",
    ),
    Reason(
        "The second half of the QE report's data",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "The quoting enclave puts the hash of the attestation key into the first 32 bytes and zeros after it (Intel's quote format). Theirs compares the hash "
        "alone; go-tdx-guest all 64 bytes, as ours does.",
        ours=r"tdx\.qe-report\.binding",
        where=r"^simulated",
    ),
    Reason(
        "XFAM",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "Bits 0 and 1 of XFAM, x87 and SSE, are always set in a TD (TDX module ABI, XFAM). Theirs does not look; go-tdx-guest does.",
        ours=r"tdx\.xfam",
        where=r"^simulated",
    ),
    Reason(
        "PCEID",
        ("dcap-qvl",),
        _ONLY_OURS,
        "ours",
        "TCB info is of one FMSPC and one PCEID (PCS API v4); theirs compares the first alone.",
        ours=r"tdx\.tcb-info\.pce-id",
        where=r"^simulated",
    ),
    Reason(
        "Quotes of more than 64 KiB",
        _TDX,
        _ONLY_OURS,
        "both",
        "A bound of this verifier on what it reads from strangers; the quote is followed by zeros.",
        ours=r"evidence\.malformed",
        where=r"^simulated \| tdx-too-large",
    ),
    Reason(
        "The quoting enclave's vendor",
        ("go-tdx-guest",),
        _ONLY_OURS,
        "ours",
        "The header names another vendor's quoting enclave. Intel's quote format gives the one value for Intel's, and only that enclave's rules are checked "
        "here; go-tdx-guest compares it where its caller gives an expected value.",
        ours=r"tdx\.quote\.qe-vendor",
        where=r"^simulated",
    ),
    Reason(
        "A PCK certificate that is a CA",
        ("go-tdx-guest",),
        _ONLY_OURS,
        "ours",
        "Intel's PCK certificate profile: BasicConstraints, cA false. Theirs does not look at it on the leaf.",
        ours=r"x509\.leaf-is-ca",
        where=r"^simulated",
    ),
    # go-tdx-guest
    Reason(
        "FMSPC in upper case",
        ("go-tdx-guest",),
        _THEIRS,
        "ours",
        "It compares the FMSPC of certificate and TCB info as text, its own in lower case, and so refuses every genuine TCB info "
        "whose FMSPC is written in upper case, as Intel's service writes most of them. PCS API v4 says hex, in neither case.",
        theirs=r"FMSPC from PCK Certificate.*is not equal",
    ),
    Reason(
        "Quotes of version 5",
        ("go-tdx-guest",),
        _THEIRS,
        "ours",
        "go-tdx-guest 0.3.1 reads version 4 alone. Version 5 with a TD report 1.0 or 1.5 is in Intel's quote format and in the "
        "field.",
        theirs=r"quote format not supported",
    ),
    Reason(
        "Order of the certificates in the quote, or two chains of three alike",
        ("go-tdx-guest",),
        _THEIRS,
        "ours",
        "Theirs takes leaf, intermediate and root by their place. See the same cause of dcap-qvl: Intel's library sorts.",
        theirs=r"PCK certificate extensions length found|is not expected in certificate's subject name|trailing bytes",
        where=r"PCK chain, order",
    ),
    Reason(
        "The self-signature and other parts of the embedded root",
        ("go-tdx-guest",),
        _THEIRS,
        "ours",
        "A bit of the root certificate was changed that leaves its key what is pinned: its own signature, a name, an extension. "
        "RFC 5280, 6.1: the anchor is a name and a key, and what else the sent certificate says is no input of validation. "
        "Theirs verifies the sent root's signature on itself, and parses all of it. No trust comes from it in either.",
        theirs=r"validate root cert|root certificate in the issuer chain|Root CA certificate DER|DER bytes of root certificate",
        where=r"PCK chain, (certificate|text) |collateral chains|swapped",
    ),
    Reason(
        "The chain beside the PCK list",
        ("go-tdx-guest",),
        _THEIRS,
        "ours",
        "The issuer of the PCK list came intact inside the quote; the copy in the list's own chain was damaged. Ours verifies the "
        "list under the issuer that the pinned root vouches for, wherever that came from; theirs insists on the copy.",
        theirs=r"unable to receive PCK CRL: could not interpret DER bytes of signing certificate",
        where=r"collateral chains",
    ),
    Reason(
        "Zeros after the PEM text of a chain",
        ("go-tdx-guest",),
        _THEIRS,
        "ours",
        "Intel's collateral structure ends its texts in NUL and counts it in the size (sgx_ql_qve_collateral_t), and PCK chains in "
        "quotes end in one. Ours takes zeros and white space at the end and nothing else; theirs takes no byte there.",
        theirs=r"could not parse PEM formatted root certificate",
        where=r"zeros",
    ),
    Reason(
        "Status other than UpToDate",
        ("go-tdx-guest",),
        _THEIRS,
        "both",
        "The same finding in two places: theirs refuses whatever is not UpToDate, ours says the status in a claim and "
        "`policy.tdx.tcb-status` refuses, so that an owner may name what he accepts and until when. (Where levels stand in another order "
        "than newest first it takes the first that fits; ours sorts, as Intel's library does.)",
        theirs=r'Status is not "UpToDate"',
    ),
    Reason(
        "Bytes after a revocation list",
        ("go-tdx-guest",),
        _ONLY_OURS,
        "ours",
        "Theirs reads the list and leaves what follows it. A list is one DER value (X.690, 10; RFC 5280, 5.1): what follows is "
        "signed by nobody and would give one list many encodings.",
        ours=r"x509\.malformed",
        where=r"(pck_crl|root_ca_crl): (zeros|bytes)",
    ),
    # go-sev-guest
    Reason(
        "The intermediate and the root that came with the report",
        ("go-sev-guest",),
        _ONLY_OURS,
        "both",
        "The VCEK is genuine; the ASK or ARK beside it is not. Theirs uses the ones it has embedded and reads the others never. "
        "Ours judges the chain that it was given, refuses one that does not hold or does not parse, and uses its own pinned ASK only where "
        "none was given (AMD 57230, certificate chain). Nothing is let in by either; ours tells the operator that his chain is broken.",
        ours=r"x509\.(signature|malformed|anchor)",
        where=r"\b(ca|root): ",
    ),
    Reason(
        "Reports longer than a report",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "An attestation report has 1184 bytes (AMD 56860, table of ATTESTATION_REPORT). Theirs takes any length from there on and "
        "ignores the rest, so that one report has many encodings: a memory of reports seen, keyed by the bytes, is passed by.",
        ours=r"evidence\.malformed",
        where=r"report: (zeros|bytes)|snp-trailing-byte",
    ),
    Reason(
        "Bytes after a revocation list",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "Theirs reads the list and leaves what follows it. A list is one DER value (X.690, 10; RFC 5280, 5.1).",
        ours=r"x509\.malformed",
        where=r"crl: (zeros|bytes)",
    ),
    Reason(
        "VLEK with the embedded roots",
        ("go-sev-guest",),
        _THEIRS,
        "ours",
        "Its embedded roots hold ARK and ASK, not the ASVK, so without roots from its caller it refuses every VLEK, AWS's genuine one too. "
        "Ours pins both (AMD 57230, VLEK). Where ours says no to that vector it is the default policy's VMPL 0.",
        theirs=r"root of trust missing intermediate certificate authority",
    ),
    Reason(
        "A list of another issuer",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "The list is signed by the ARK and names another issuer. Theirs looks at the signature alone. RFC 5280, 6.3.3 (b): "
        "a list counts for certificates of the issuer that it names; ours refuses a chain whose own list is missing beside one of nobody's.",
        ours=r"x509\.crl\.stranger",
    ),
    Reason(
        "structVersion and the product's whole name",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "The certificate's structVersion or productName is another product's. AMD 57230 lists both by product. With CPUID in the report theirs goes by that and "
        "does not compare productName with it.",
        ours=r"snp\.product\.mismatch",
        where=r"^simulated \| snp-(struct-version|product-name)",
    ),
    Reason(
        "MASK_CHIP_KEY",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "With MASK_CHIP_KEY the firmware writes zeros for the signature (AMD 56860, SNP_CONFIG and KEY_INFO); a signed report that has it set contradicts itself. "
        "Theirs parses the bit and leaves it.",
        ours=r"snp\.report\.masked-key",
        where=r"^simulated",
    ),
    Reason(
        "CHIP_ID of zeros",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "A VCEK names one chip, the report none: the host masked the identity (AMD 56860, MASK_CHIP_ID), and nothing ties the two. Theirs skips the comparison then.",
        ours=r"snp\.chip-id\.masked",
        where=r"^simulated",
    ),
    Reason(
        "Reports that the host asked for",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "VMPL 0xFFFFFFFF: the hypervisor asked, not the guest, so the report data are the hypervisor's (AMD 56860, SNP_HV_REPORT_REQ). Theirs compares VMPL only where "
        "its caller gives one.",
        ours=r"snp\.report\.host-requested",
        where=r"^simulated",
    ),
    Reason(
        "COMMITTED_TCB below REPORTED_TCB",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "REPORTED ≤ COMMITTED ≤ CURRENT, by component (AMD 56860, TCB_VERSION and SNP_COMMIT). Theirs, told to permit provisional firmware, compares COMMITTED and CURRENT.",
        ours=r"snp\.tcb\.order",
        where=r"^simulated",
    ),
    Reason(
        "Key identifiers",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "The ASK's authority key identifier is another key's than the ARK's. RFC 5280, 4.2.1.1: it identifies the key that signed. Go's path builder uses it as a hint alone. The "
        "signature was good, so it is a second line.",
        ours=r"x509\.key-identifier",
        where=r"^simulated",
    ),
    Reason(
        "Partial revocation lists",
        ("go-sev-guest",),
        _ONLY_OURS,
        "ours",
        "A delta list holds what changed, not who is revoked; its critical extension says so (RFC 5280, 5.2.4, and 5.2: an unknown critical extension of a list forbids its use). "
        "Theirs does not read a list's extensions.",
        ours=r"x509\.critical-extension",
        where=r"^simulated \| snp-crl-partial",
    ),
    Reason(
        "Turin",
        ("go-sev-guest",),
        _THEIRS,
        "ours",
        "Its certificates' fmcSPL (1.3.6.1.4.1.3704.1.3.9), 8-byte hwID and order of TCB components are not in go-sev-guest 0.15.0 (AMD 57230).",
        theirs=r"not an AMD KDS OID",
        where=r"^simulated \| honest turin",
    ),
    Reason(
        "Bergamo and Siena",
        ("go-sev-guest",),
        _THEIRS,
        "ours",
        "Models 0xA0 to 0xAF of family 0x19 are under Genoa's roots (AMD 57230; AMD's CPUID tables); go-sev-guest knows model 0x11 alone as Genoa.",
        theirs=r"could not be verified by any trusted roots",
        where=r"^simulated \| honest bergamo",
    ),
    Reason(
        "Reserved bits that are signed",
        ("go-sev-guest",),
        _THEIRS,
        "ours",
        "Bits that were reserved when the verifier was written: the firmware signed them. Theirs refuses, and so does with each new firmware until it learns; ours warns "
        "(`snp.reserved-bits`) and, for unknown bits of the guest policy, refuses by the default policy (AMD 56860, ATTESTATION_REPORT and POLICY).",
        theirs=r"mbz range",
        where=r"^simulated \| snp-(reserved-signed|policy-unknown-bit)",
    ),
    # NVIDIA's own
    Reason(
        "Other parts of the embedded root",
        ("nvidia",),
        _THEIRS,
        "ours",
        "A bit of the root certificate as sent was changed that leaves its key what is pinned: a name, an extension, its signature on "
        "itself. RFC 5280, 6.1: the anchor is a name and a key. Theirs puts its own root in the place of the sent one, and still stumbles "
        "where OpenSSL does not read that. No trust comes from it in either.",
        theirs=r"^(chain|(driver|vbios|bios)-rim): ",
        where=r"certificate\.4: (bit|byte|\d+ bytes)|rim\.\w+: signer 3: ",
    ),
    Reason(
        "Bytes after a certificate",
        ("nvidia",),
        _ONLY_OURS,
        "ours",
        "OpenSSL reads one certificate and leaves what follows. A certificate is one DER value (X.690, 10); what follows is signed by nobody.",
        ours=r"x509\.malformed",
        where=r"certificate\.\d: (zeros|bytes)",
    ),
    Reason(
        "Zeros after a manifest",
        ("nvidia",),
        _ONLY_OURS,
        "ours",
        "Their XML library stops at the first zero byte of a text. NUL is no character of an XML document (XML 1.0, 2.2), so this is none. "
        "What follows is covered by no signature.",
        ours=r"nvidia\.rim\.malformed",
        where=r"rim\.\w+: zeros",
    ),
    Reason(
        "A zero after the signature of a report",
        ("nvidia",),
        _THEIRS,
        "ours",
        "The vector's genuine report has one zero after its signature. SPDM (DSP0274, MEASUREMENTS) gives every length, and ours finds the "
        "signature by them and warns of the zero; theirs takes the last 96 bytes for the signature. Where ours says no, it is the default "
        "policy, which wants measurements that no manifest here gives.",
        theirs=r"signature: SignatureVerificationError",
    ),
)


def reason_for(one: Compared) -> Reason | None:
    return next((reason for reason in REASONS if reason.covers(one)), None)
