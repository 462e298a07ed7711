"""NVIDIA's policy for attestation results, versions 1.0 to 4.0: claims of a token that must equal those of the
file. Every device's token must meet `detached-claims`, as here every device must pass every rule.

No token is read here: the device's own evidence is verified. What only a token says has no counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from attest.policy.author_rules import quoted
from attest.policy.interchange.draft import Draft, Entry
from attest.policy.interchange.json_lines import Located, read_located, wrong
from attest.policy.interchange.nvidia_claims import (
    ALL,
    CHAINS,
    FLAGS,
    LOCAL_1,
    LOCAL_FLAGS,
    MEASRES,
    NEWER,
    REMOTE_1,
    RIMS,
    VERSIONS,
    Asked,
    Flag,
    Kind,
)
from attest.policy.interchange.widening import defaults_hold
from attest.untrusted import escape

_OVERALL = "x-nvidia-overall-att-result"
_DETAILS = "x-nvidia-attestation-detailed-result"
_PREFIXES: dict[str, Kind] = {"x-nvidia-gpu-": "gpu", "x-nv-gpu-": "gpu", "x-nvidia-switch-": "switch"}
_KINDS: dict[tuple[str, str], Kind] = {
    ("iss", "LOCAL_GPU_VERIFIER"): "gpu",
    ("iss", "LOCAL_SWITCH_VERIFIER"): "switch",
    ("x-nvidia-device-type", "gpu"): "gpu",
    ("x-nvidia-device-type", "switch"): "switch",
    ("x-nvidia-attestation-type", "GPU"): "gpu",
}
_OF_THE_TOKEN = {
    "iss": "names who made the token; here nobody's token is believed, and NVIDIA's service can be asked beside "
    "it: attest verify --second-opinion nvidia",
    "sub": "names the token's subject, and no token is read here",
    "jti": "names one token",
    "exp": "of one token; ask time.evidence-age at-most instead",
    "iat": "of one token; ask time.evidence-age at-most instead",
    "nbf": "of one token; ask time.evidence-age at-most instead",
    "submods": "of one token",
    "eat_nonce": "one nonce for all evidence can be replayed; give each challenge to verify with --gpu-nonce",
    "ueid": "number of the key's certificate, another after each firmware update; pin the device's id instead",
}
_OVERALL_ONLY = frozenset({_OVERALL, "x-nvidia-ver", "submods"})
_IN_OVERALL = _OVERALL_ONLY | {"iss", "sub", "jti", "exp", "iat", "nbf", "eat_nonce"}
_OF_NVIDIA = {"oemid": "5703", "x-nvidia-gpu-manufacturer": "NVIDIA Corporation"}
_MAX_CLAIMS = 500
_NOTHING = "no claim of this language says it"
_BY_DATE = "an OCSP answer counts by its dates here; ask time.collateral-age at-most instead"
_LOCAL_ONLY = {
    "cert-ocsp-nonce-match": _BY_DATE,
    "vbios-index-conflict": "asks for a conflict, which is refused here; vbios-index-no-conflict is the claim",
}
_CHIP = re.compile(r"(GH[0-9]{3}|GB[0-9]{3}|LS_10) .*")
_DRIVER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){1,3}", re.ASCII)
_BIOS = re.compile(r"[0-9A-F]{2}(\.[0-9A-F]{2}){4}", re.ASCII)


def read_nvidia(data: bytes) -> Draft:
    """Raises Malformed where `data` is no such policy, its version is unknown, or a value is of another type."""
    root = read_located(data).members("the policy")
    _only(root, {"version", "authorization-rules"})
    version = _needed(root, "version").text("version")
    if version not in ("1.0", "2.0", "3.0", "4.0"):
        raise wrong(
            root["version"].line, f"version is {escape(version[:20])}; 1.0, 2.0, 3.0 and 4.0 are known"
        )
    rules = _needed(root, "authorization-rules").members("authorization-rules")
    _bounded(rules)
    if version == "1.0":
        return _Reader(_kind([rules]), frozenset({LOCAL_1, REMOTE_1})).read({}, rules)
    _only(rules, {"type", "overall-claims", "detached-claims"})
    kind = _needed(rules, "type")
    if kind.text("type") != "JWT":
        raise wrong(kind.line, f"type is {escape(str(kind.value)[:20])}; JWT is the one that is known")
    overall, detached = (_needed(rules, name).members(name) for name in ("overall-claims", "detached-claims"))
    return _Reader(_kind([detached, overall]), NEWER).read(overall, detached)


class _Reader:
    """Turns the claims of one file into rules. forms: of the tokens that can still meet what was read."""

    def __init__(self, kind: Kind | None, forms: frozenset[str]) -> None:
        self._kind: Kind = kind or "gpu"
        self._forms = forms
        self._rules: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
        self._verified: list[str] = []
        self._draft = Draft("NVIDIA's policy for attestation results", platforms=["none"])
        self._draft.rule(self._kind, "count", "{at-least: 1}", None, "each token there is a device's")
        if kind is None:
            self._draft.lost(None, "kind of device", "nothing says GPU or switch; gpu is taken")

    def read(self, overall: dict[str, Located], detached: dict[str, Located]) -> Draft:
        for name, value in overall.items():
            if name in _IN_OVERALL:
                self._claim(name, value)
            else:
                self._lost(value, name, "no overall token has it: nothing passes there")
        for name, value in detached.items():
            if name in _OVERALL_ONLY:
                self._lost(value, name, "no device's token has it: nothing passes there")
            elif name == _DETAILS and REMOTE_1 in self._forms:
                self._narrow(name, value, frozenset({REMOTE_1}))
                for inner, member in value.members(name).items():
                    self._claim(inner, member)
            else:
                self._claim(name, value)
        return self._written()

    def _written(self) -> Draft:
        draft = self._draft
        for (section, claim, operand), asked in self._rules.items():
            said = [f"line {line}: {escape(name)}" for line, name in asked[:3]]
            said += [f"line {line}" for line, _ in asked[3:]]
            draft.entries.append(Entry(section, claim, operand, "; ".join(said), asked[0][0]))
        if self._verified:
            draft.notes.append(f"checked of every device without a rule: {', '.join(self._verified)}")
        if self._kind == "gpu":
            draft.notes.append("mode is not asked there; here the default refuses protected PCIe")
        draft.notes.append(
            "platforms none: nothing there speaks of the CPU; before a secret depends on this policy, name a "
            "platform and write its section"
        )
        return defaults_hold(draft)

    # -- one claim -----------------------------------------------------------------------------------

    def _claim(self, name: str, value: Located) -> None:
        for prefix, kind in _PREFIXES.items():
            if name.startswith(prefix):
                if kind != self._kind:
                    self._lost(
                        value, name, f"of a {kind}, in a policy of a {self._kind}: nothing passes there"
                    )
                else:
                    self._device(name, name.removeprefix(prefix), value)
                return
        if name in _OF_THE_TOKEN:
            self._lost(value, name, _OF_THE_TOKEN[name])
        elif reader := self._readers().get(name):
            reader(name, value)
        else:
            self._lost(value, name, _NOTHING)

    def _readers(self) -> dict[str, Callable[[str, Located], None]]:
        return {
            _OVERALL: lambda name, value: self._flag(name, value, Flag(NEWER, self._whole())),
            "secboot": lambda name, value: self._flag(name, value, Flag(ALL, ("measured",))),
            "dbgstat": lambda name, value: self._word(name, value, {"disabled": ALL}),
            "measres": lambda name, value: self._word(name, value, MEASRES),
            "x-nvidia-ver": self._version,
            "hwmodel": self._model,
            "x-nvidia-attestation-warning": lambda name, value: self._nothing(name, value, "cert"),
            "x-nvidia-mismatch-measurement-records": lambda name, value: self._nothing(
                name, value, "measured"
            ),
            "x-nvidia-device-type": self._fixed({"x-nvidia-device-type": self._kind}),
            "x-nvidia-attestation-type": self._fixed({"x-nvidia-attestation-type": "GPU"}),
            "oemid": self._fixed(_OF_NVIDIA),
        }

    def _device(self, name: str, bare: str, value: Located) -> None:
        flag = LOCAL_FLAGS.get(bare) if name.startswith("x-nv-") else FLAGS[self._kind].get(bare)
        if flag is not None:
            self._flag(name, value, flag)
        elif name.startswith("x-nv-"):
            self._lost(value, name, _LOCAL_ONLY.get(bare, _NOTHING))
        elif bare in CHAINS[self._kind]:
            self._chain(name, value, CHAINS[self._kind][bare])
        elif bare in ("driver-version", "vbios-version", "bios-version"):
            self._number(name, bare.removesuffix("-version"), value)
        elif bare == "claims-version":
            self._version(name, value)
        elif name in _OF_NVIDIA:
            self._fixed(_OF_NVIDIA)(name, value)
        else:
            self._lost(value, name, _NOTHING)

    def _flag(self, name: str, value: Located, flag: Flag) -> None:
        if value.value is not None and not isinstance(value.value, bool):
            raise wrong(value.line, f"{escape(name)} is neither true nor false")
        if value.value is not True:
            self._lost(value, name, "asks that a check did not pass; what does not pass it is refused here")
        elif self._narrow(name, value, flag.forms):
            self._ask(name, value, flag.asks)

    def _word(self, name: str, value: Located, good: Mapping[str, frozenset[str]]) -> None:
        text = _text(name, value)
        if text is None or text not in good:
            self._lost(value, name, f"only {' or '.join(good)} can be asked here, anything else is refused")
        elif self._narrow(name, value, good[text]):
            self._ask(name, value, ("measured",))

    def _nothing(self, name: str, value: Located, asked: Asked) -> None:
        if value.value is None:
            self._ask(name, value, (asked,))
        else:
            self._lost(value, name, "only null can be asked here, anything else is refused")

    def _fixed(self, only: dict[str, str]) -> Callable[[str, Located], None]:
        def read(name: str, value: Located) -> None:
            if _text(name, value) == only[name]:
                self._ask(name, value, ("verified",))
            else:
                self._lost(value, name, f"only {only[name]} can be asked here: nothing passes there")

        return read

    def _version(self, name: str, value: Located) -> None:
        text = _text(name, value)
        if text is None or text not in VERSIONS:
            self._lost(value, name, f"of claims versions, {', '.join(VERSIONS)} are known")
        elif self._narrow(name, value, VERSIONS[text]):
            self._draft.note(value.line, f"{name} says how the token is written, and no token is read here")

    def _model(self, name: str, value: Located) -> None:
        chip = _CHIP.fullmatch(_text(name, value) or "")
        if chip is None or (chip[1] == "LS_10") != (self._kind == "switch"):
            self._lost(value, name, f"no {self._kind} has this name: nothing passes there")
            return
        self._rule("model", chip[1].replace("_", ""), value, name)
        self._lost(value, name, "only the chip is a claim (model); stepping and firmware part are none")

    def _number(self, name: str, claim: str, value: Located) -> None:
        text = _text(name, value) or ""
        if claim not in (("bios",) if self._kind == "switch" else ("driver", "vbios")):
            self._lost(value, name, f"no {self._kind}'s token has it: nothing passes there")
        elif not (_DRIVER if claim == "driver" else _BIOS).fullmatch(text):
            self._lost(value, name, f"no {self._kind} writes its version so: nothing passes there")
        else:
            self._rule(claim, quoted(text), value, name)
            if claim == "driver":
                self._draft.note(value.line, f"{text} is compared as numbers, so leading zeros do not count")

    def _chain(self, name: str, value: Located, valid: Asked) -> None:
        members = value.members(name)
        if not self._narrow(name, value, frozenset({"3.0"})):
            return
        for key, member in members.items():
            whole = f"{name}.{key}"
            match key.removeprefix("x-nvidia-cert-"):
                case "status":
                    self._chain_word(whole, member, "valid", valid)
                case "ocsp-status":
                    self._chain_word(whole, member, "good", "cert")
                case "revocation-reason":
                    self._nothing(whole, member, "cert")
                case "ocsp-response-valid":
                    self._flag(whole, member, Flag(ALL, ("cert",)))
                case "ocsp-nonce-matches":
                    self._lost(member, whole, _BY_DATE)
                case _:
                    self._lost(member, whole, _NOTHING)

    def _chain_word(self, name: str, value: Located, good: str, asked: Asked) -> None:
        if _text(name, value) == good:
            self._ask(name, value, (asked,))
        else:
            self._lost(value, name, f"only {good} can be asked here, anything else is refused")

    # -- what comes of it ----------------------------------------------------------------------------

    def _narrow(self, name: str, value: Located, forms: frozenset[str]) -> bool:
        """Whether one token can still have all that was read; what cannot stand beside the rest is listed."""
        left = self._forms & forms
        if not left:
            self._lost(
                value,
                name,
                "no token has it in the form that the claims before it have: nothing passes there",
            )
            return False
        self._forms = left
        return True

    def _whole(self) -> tuple[Asked, ...]:
        """Their overall result is true where every check passed."""
        return ("nonce", "measured", "cert", *RIMS[self._kind])

    def _ask(self, name: str, value: Located, asked: tuple[Asked, ...]) -> None:
        for one in asked:
            if one == "verified":
                self._verified.append(f"{escape(name)} (line {value.line})")
            elif one == "nonce":
                self._rule("nonce", "true", value, name, section="binding")
            else:
                claim = "measurements" if one == "measured" else one
                operand = {"measured": "match", "cert": "good"}.get(one, "valid")
                self._rule(claim, operand, value, name)

    def _rule(
        self, claim: str, operand: str, value: Located, name: str, *, section: str | None = None
    ) -> None:
        self._rules.setdefault((section or self._kind, claim, operand), []).append((value.line, name))

    def _lost(self, value: Located, name: str, why: str) -> None:
        self._draft.lost(value.line, name, why)


def _text(name: str, value: Located) -> str | None:
    """None where the claim is to be null. Raises Malformed where it is no text."""
    return None if value.value is None else value.text(escape(name))


def _kind(claims: list[dict[str, Located]]) -> Kind | None:
    """The kind of device that the first telling claim names."""
    for name, value in _walk(claims):
        for prefix, kind in _PREFIXES.items():
            if name.startswith(prefix):
                return kind
        if isinstance(value.value, str) and (named := _KINDS.get((name, value.value))):
            return named
    return None


def _walk(claims: list[dict[str, Located]]) -> Iterator[tuple[str, Located]]:
    for members in claims:
        for name, value in members.items():
            yield name, value
            if name == _DETAILS and isinstance(value.value, dict):
                yield from value.value.items()


def _bounded(rules: dict[str, Located]) -> None:
    claims, waiting = 0, [rules]
    while waiting:
        for value in waiting.pop().values():
            claims += 1
            if claims > _MAX_CLAIMS:
                raise wrong(value.line, f"more than {_MAX_CLAIMS} claims")
            if isinstance(value.value, dict):
                waiting.append(value.value)


def _needed(members: dict[str, Located], name: str) -> Located:
    if name not in members:
        raise wrong(None, f"the policy has no {name}")
    return members[name]


def _only(members: dict[str, Located], known: set[str]) -> None:
    for key, value in members.items():
        if key not in known:
            raise wrong(value.line, f"unknown key {escape(key[:80])}")
