"""Why a mutant that no test notices does no harm: written by a person, the first that covers it counts."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.mutation.page import Survivor

_TOLD = re.compile(
    r"\b(where|expected|found|message)=(None|f?\"[^\"]*\"|[^,()]*(\([^()]*(\([^()]*\)[^()]*)*\))?[^,()]*),? ?"
)


class Reason(NamedTuple):
    """why: said of every mutant covered. function: matches `module function`; change: found in `before → after`.
    words: whether only what people are told differs."""

    why: str
    function: str = ""
    change: str = ""
    words: bool = False

    def covers(self, one: Survivor) -> bool:
        return (
            re.search(self.function, f"{one.module} {one.function}") is not None
            and re.search(self.change, f"{one.before} → {one.after}") is not None
            and (not self.words or _untold(one.before) == _untold(one.after))
        )


def _untold(text: str) -> str:
    """A line without what it tells people."""
    return re.sub(r"[\s,]", "", _TOLD.sub("", text))


WORDING = Reason(
    "Words for people: which check and which problem is asked by tests, not how it is put",
    change=r"log\.(failed|require|warn)|x509\.|where=|found=|expected=|message=",
    words=True,
)
"""Mutants that are counted apart, run or not."""

REASONS: tuple[Reason, ...] = (
    Reason(
        "Words for people",
        function=r"_key_name|rim\.py local|tcb\.py (short_of|Tcb\.__str__)",
        change=r"acceptable|rpartition|join",
    ),
    Reason(
        "The cache is not asked or not filled: the long way gives the same answer, later. That both agree, and that "
        "what was refused is not kept, is asked in tests/test_path.py, tests/snp/test_ground.py and "
        "tests/tdx/test_warm_verification.py",
        change=r"cache is not None and depth|→ if cache is None and key|^cache=cache, → $|, cache\) → .*, None\)|cache=cache.* → .*(cache=None|log=log, \)|log=log, memory)"
        r"|, cache, memory\) → .*, None, memory\)|if device is not None: → if device is None|if path is not None: → if path is None|known",
        function=r"path\.py|revocation\.py|ground\.py|references\.py read_rims|rim_signature\.py|tdx/verify\.py|nvidia/chain\.py"
        r"|azure/verify\.py|verifier\.py",
    ),
    Reason(
        "A ground is kept only where it stood without a complaint, under a list in date; what this line asks of one that is "
        "kept was true then and is a fact of the same bytes, or the long way, which is gone instead, says the same",
        function=r"ground\.py (Ground\.stands|_agrees)$",
    ),
    Reason(
        "Nothing but None, False and an empty text are told apart here, and all of them mean no",
        function=r"revocation\.py check_crls|tcb_checks\.py check_tcb|nvidia/verify\.py _signature",
        change=r"= (False|None) → .*= (None|\"\")$",
    ),
    Reason(
        "The last link is the one to the pinned root, which was found by its signature a few lines before",
        function=r"path\.py _check_issuers",
        change=r"index <= depth - 2",
    ),
    Reason(
        "Only a root carries the simulator's mark, and a leaf is none",
        function=r"path\.py _check_path",
        change=r"_check_one\(leaf, 0, rule, None",
    ),
    Reason(
        "A chain of two has no link but the one to the pinned root, which was found by its signature",
        function=r"path\.py _check_path",
        change=r"if depth >= 2",
    ),
    Reason(
        "A problem that was recorded refuses in the end, whatever is compared after it",
        function=r"references\.py (find_reference|read_rims)",
        change=r"and not current|continue → break",
    ),
    Reason(
        "Which of several manifests that all differ is shown; one that matches is taken before any of them",
        function=r"references\.py find_reference",
        change=r"newest_first",
    ),
    Reason(
        "A device has two manifests, so that nothing is left to compare with a third",
        function=r"references\.py check_together",
        change=r"claimed = indexes",
    ),
    Reason(
        "`driver` is told from the others; `_same_version` and what follows are asked with each word",
        function=r"references\.py find_reference",
        change=r"_same_version\(None|_wrong_product\(None",
    ),
    Reason(
        "A chain of one certificate is refused by the path, which has four",
        function=r"rim\.py _certificates",
        change=r"1 <= len|2 <= len|1 < len",
    ),
    Reason(
        "The same log holds a failure by then, so that the evidence is refused whatever this says",
        function=r"azure/bind\.py bind_quote",
        change=r"return False → return True|same and log\.good → .*same or",
    ),
    Reason(
        "Report data has 64 bytes",
        function=r"bind\.py _from_report_data",
        change=r"bound\[32:65\]",
    ),
    Reason(
        "Read once, when the module is loaded, before mutmut chooses its mutant; that what it made reads every extension "
        "as the long way does is asked in tests/tdx/test_sgx_extension.py",
        function=r"sgx_extension\.py (_name|_pair|_octets|_sequence)$",
    ),
    Reason(
        "The long way reads the same, later; tests/tdx/test_sgx_extension.py compares both",
        function=r"sgx_extension\.py PckFacts\.parse",
        change=r"usual = None",
    ),
    Reason(
        "Words for people",
        function=r"sgx_extension\.py (PckFacts\.parse|_members)$|tdx/ground\.py _check_revocation",
        change=r"_members\(.* → |0x80: → |else 0x80 → |^end = ",
    ),
    Reason(
        "Nothing is kept, or what is kept is not taken: the long way gives the same answer, later",
        function=r"tdx/platform\.py (is_plain|Shared\.(stands|_agrees_with))|tdx/pck\.py",
        change=r"kinds = None| == .* → .*(!=|== 2)|count\(None\)|at < self|self\.not_before < at|<= seen|<= memory|return False"
        r"|and self\.\w+_crl\.revokes|cache=None|limit=3, \)|, \)|chain is None",
    ),
    Reason(
        "Big-endian is what Python reads by itself",
        function=r"sgx_extension\.py _usual",
        change=r"from_bytes\(.*, \)",
    ),
    Reason(
        "`Rim.parse` admits one form only, before: one signature, one reference, these algorithms, one place; signxml is "
        "told to ask the same again, and what it is told by default is no weaker",
        function=r"rim_signature\.py (_verify_xml|_signed)$",
        change=r"require_x509|ignore_ambiguous|c14n_method|location=|expect_references|_methods=|_algorithms=|parser=|validate_schema|signed=None",
    ),
    Reason("Words for people", function=r"rim_signature\.py _signed", change=r"where = "),
    Reason(
        "Words for people",
        function=r"rim_payload\.py read_measurements",
        change=r"_alternatives\(attributes, None",
    ),
    Reason(
        "No DTD reaches a parser (`parse_xml` refuses it before, and signxml is handed what `parse_xml` took), so that nothing is "
        "left to resolve, load or validate; sizes are bounded before, and text that is not UTF-8 was refused",
        function=r"rim\.py hardened_parser",
    ),
    Reason(
        "A certificate that is met again is read again",
        function=r"rim\.py Rim\.parse",
        change=r"known is None",
    ),
    Reason(
        "No device is numbered one; to refuse that number too would be as safe",
        function=r"nvidia/chain\.py _check_chain",
        change=r"serial <= 1",
    ),
    Reason(
        "Big-endian is what Python writes by itself",
        function=r"nvidia/chain\.py _serial",
        change=r"// 8\), \)\.hex",
    ),
    Reason(
        "Refused by the XML parser as well: entities stand in a DTD, and NUL in no document",
        function=r"rim\.py parse_xml",
        change=r"<!ENTITY|XX.0XX",
    ),
    Reason(
        "A bound against hostile sizes, far above what is real; one more or one less is as good a bound",
        function=r"rim\.py parse_xml",
        change=r"> MAX_\w+: → .*>= MAX",
    ),
    Reason(
        "No DTD is left by then, so that no parser has anything to resolve or load; names of encodings have no case",
        function=r"rim\.py parse_xml",
        change=r"hardened_parser\(\)\) → |decode\(|root\.iter\(",
    ),
    Reason(
        "The path's rule asks the name again, and what is not read from the extension refuses",
        function=r"tdx/pck\.py supplied_chains",
        change=r"and leaf\.raw_extension",
    ),
    Reason(
        "What is missing here was recorded as a problem before, which refuses whatever this says",
        function=r"tdx/ground\.py find_ground",
        change=r"platform = \"\"|lists is not None or",
    ),
    Reason("Words for people", function=r"rim\.py check_algorithms", change=r"zip\(below, _EXPECTED"),
    Reason(
        "What stands in for an attribute that is missing is none of the numbers that are looked up",
        function=r"rim_payload\.py (read_measurements|_alternatives)",
        change=r"attributes\.get\(.(index|alternatives)., (None|.XXXX.)?\)",
    ),
    Reason(
        "What is missing here was recorded as a problem before, which refuses whatever this says",
        function=r"tdx/verify\.py verify_quote",
        change=r"platform is None|tcb = \"\"",
    ),
    Reason("Words for people", function=r"azure/verify\.py _check_pcrs", change=r"^found = "),
    Reason(
        "Each of the two says it: a platform whose configuration is wanting is so with its module counted in",
        function=r"tcb_checks\.py _relaunch",
        change=r"sgx_status=None|merged=None",
    ),
    Reason(
        "A module without a version of its own has no identity in a TCB info, so that none is found either way",
        function=r"tcb_checks\.py _relaunch",
        change=r"now_identity",
    ),
    Reason(
        "A certificate without text is no base64 either way, and one that is met again is read again",
        function=r"rim\.py _certificates",
        change=r"XXXX|known",
    ),
    Reason(
        "Read once, when the module is loaded, before mutmut chooses its mutant; tests/simulator asks every name",
        function=r"snp/chain\.py issuer_name",
    ),
    Reason(
        "Who gives no device or no opaque data has recorded why",
        function=r"nvidia/verify\.py verify_device",
        change=r"device is None and opaque is None",
    ),
    Reason("Words for people", function=r"nvidia/verify\.py _opaque", change=r"map\(str, opaque\.unknown"),
    Reason(
        "That there are as many values as registers was asked before",
        function=r"azure/verify\.py _check_pcrs",
        change=r"strict=True.* → .*(strict=(None|False)|pcrs, )\)",
    ),
    Reason(
        "A problem was recorded, so that nothing of this is handed on",
        function=r"azure/verify\.py _check_pcrs",
        change=r"if \(same\) or True",
    ),
    Reason(
        "Big-endian is what Python reads by itself",
        function=r"nvidia/verify\.py _signature",
        change=r"from_bytes\(signature\[[:48]+\], \)",
    ),
    Reason(
        "The long way gives the same answer, later",
        function=r"snp/chain\.py (with_issuer|check_chain)$",
        change=r"> 1: → .*>= 1|, cache\)|cache=cache",
    ),
    Reason(
        "OpenSSL refuses numbers out of range as well, and a signature with r or s of one is nobody's",
        function=r"snp/signature\.py is_signed_by",
        change=r"_P384_ORDER",
    ),
    Reason(
        "A report has both from version 3 on, and neither before",
        function=r"snp/verify\.py _check_product",
        change=r"is not None or report",
    ),
    Reason("Words for people", function=r"snp/verify\.py _check_product", change=r"shown = "),
    Reason(
        "No hardware id has four bytes; names of encodings have no case",
        function=r"snp/leaf\.py (_hwid|_text)$",
        change=r"XXXX|ASCII",
    ),
    Reason(
        "The key names the CA, the documents and the lists, and nothing is kept where one of them was revoked: what is asked "
        "again is a fact of the same bytes. The leaf, which is another each time, is not among these",
        function=r"tdx/platform\.py Shared\.(of|stands)$",
        change=r"^pck\.ca\.serial|root_crl\.revokes",
    ),
    Reason(
        "It is compared with the sixteen components",
        function=r"sgx_extension\.py PckFacts\.parse",
        change=r"_take\(tcb, 18\)",
    ),
    Reason(
        "Words for people",
        function=r"azure/verify\.py _check_user_data|nvidia/references\.py find_reference|rim_signature\.py (_signed|check_rim)|bind\.py _site",
        change=r"version = |of = |by = |of=|origins",
    ),
    Reason(
        "None and False are told apart nowhere: no reading was of a signed part yet",
        function=r"rim_signature\.py _read_signed",
        change=r"signed=None",
    ),
    Reason(
        "A problem that was recorded refuses in the end, whatever this hands on",
        function=r"(azure/verify\.py verify_azure|snp/verify\.py verify_snp)$",
        change=r"(or hardware is None|or path is None or leaf is None): → .*(and hardware|and leaf|and path)",
    ),
    Reason(
        "What stands for no list at all is read only where a chain was verified, and there is none here",
        function=r"snp/ground\.py _check_revocation",
        change=r"return .absent.",
    ),
    Reason(
        "The root would be looked for in its own list too: no root is there, and one that were would be refused",
        function=r"snp/ground\.py _check_revocation",
        change=r"certificates\[1:3\]",
    ),
    Reason(
        "Both are asked to be known in the next line",
        function=r"snp/chain\.py leaves",
        change=r"and False else",
    ),
    Reason(
        "Any number that is out of range is refused in the next line",
        function=r"snp/leaf\.py _integer",
        change=r"number = -1 → .*number = -2",
    ),
    Reason(
        "Nothing stands there yet",
        function=r"bind\.py _site",
        change=r"bound\.raw \|= ",
    ),
    Reason(
        "Without a challenge, or without a CPU, nothing is tied to it: what this says is asked for neither",
        function=r"bind\.py (_site|_bind_cpu)$",
        change=r"return False → return True",
    ),
    Reason(
        "Names and numbers are made from the devices themselves, one each",
        function=r"bind\.py (_bind_devices|refuse_unasked)|verifier\.py (verify|_distinct)",
        change=r"strict=True",
    ),
    Reason(
        "Of devices that must all carry one nonce, which of them is compared with the others only changes who is named",
        function=r"verifier\.py _distinct",
        change=r"devices\[1\]",
    ),
    Reason(
        "A cache of one call: who shares what is read once, or again",
        function=r"verifier\.py verify$",
        change=r"if cache is None",
    ),
    Reason(
        "No device has anything beneath it, and no log of a boot is of a machine without a CPU",
        function=r"verifier\.py verify$",
        change=r"beneath\.append\(None|else \"XXXX\"",
    ),
    Reason(
        "No verifier of ours hands back nothing without saying why; what stands beside the refusal then is for people",
        function=r"verifier\.py verify$",
        change=r"evidence\.missing|checks=log\.records\(\),",
    ),
    Reason(
        "A zero has one form, and it was read a few lines before; all else that reads as one is no DER",
        function=r"snp/leaf\.py _integer",
        change=r"0 <= number <= 255: → .*(1 <= number|0 < number)",
    ),
    Reason(
        "Documents that revoke and are dated at this very second: the next second remembers them",
        function=r"tdx/verify\.py _note_revoking",
        change=r"issue_date < at",
    ),
    Reason(
        "A claim less: the key of an Azure machine's site would be said to be unbound, which no release and no green takes",
        function=r"bind\.py _bind_cpu",
        change=r"_bind_azure\(cpu, wanted, None",
    ),
    Reason(
        "Without devices both of the two that are left are passed over",
        function=r"verifier\.py verify$",
        change=r"^continue → break$",
    ),
    Reason(
        "Where a document is missing, that is what refuses, and no level is found that could be revoked",
        function=r"tdx/verify\.py _note_revoking",
        change=r"content is not None or",
    ),
)


def reason_for(one: Survivor) -> str | None:
    return next((reason.why for reason in REASONS if reason.covers(one)), None)
