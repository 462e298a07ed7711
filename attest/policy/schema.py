"""JSON Schema (2020-12) of policy files, made from the claim table, for editors that complete and check as one types.

A schema sees one value at a time; what needs the whole policy, or its place, `attest policy check` says. Editors read
YAML by its core schema, so where a text like `false` or `550.10` is meant, their booleans and numbers are admitted.
"""

from __future__ import annotations

from typing import Any

from attest.claims import CLAIMS, DEVICE_SECTIONS, Claim
from attest.policy.builtin import BUILTINS
from attest.policy.kinds import COMPONENTS, PRODUCTS
from attest.policy.layers import FILE_NAME, MAX_FILES
from attest.policy.model import FIXED, PLATFORMS
from attest.policy.operators import OPERATORS, applies
from attest.policy.reader import GROUPS
from attest.policy.references import MAX_REFERENCES
from attest.problems import PROBLEMS

Schema = dict[str, Any]

_ID = "https://attest.invalid/policy-1.schema.json"
_PARAMETER = {"type": "string", "pattern": r"^\$\{[a-z0-9_-]{1,64}\}$"}
_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_WORDS: Schema = {"type": "string", "minLength": 1}
_DATE: Schema = {
    "type": "string",
    "pattern": r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$",
}
_BYTE: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 255},
        {"type": "string", "pattern": r"^([0-9]{1,3}|0[xX][0-9a-fA-F]{1,16})$"},
    ]
}
_NUMBER: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^([0-9]{1,20}|0[xX][0-9a-fA-F]{1,16})$"},
    ]
}
_COVERS: Schema = {"enum": ["firmware", "image"]}


def schema() -> Schema:
    """The whole schema; a function of the tables alone."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "attest policy, version 1",
        **_object(
            {
                "policy": {"enum": [1, "1"]},
                "name": {"type": "string", "pattern": "^[a-z0-9-]{1,64}$"},
                "extends": {"type": "array", "minItems": 1, "maxItems": MAX_FILES, "items": _extended()},
                "params": _named("^[a-z0-9_-]{1,64}$", _parameter()),
                "platforms": {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                    "items": {"enum": list(PLATFORMS)},
                },
                "references": _named("^[a-z0-9-]{1,64}$", _references()),
                "accept": {"type": "array", "minItems": 1, "items": _accepted()},
                "allow-warnings": {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": {"enum": list(PROBLEMS)},
                    "additionalProperties": {**_WORDS, "description": "the owner's reason"},
                },
                "require": _object({section: {"$ref": f"#/$defs/{section}"} for section in CLAIMS}, least=1),
            },
            "policy",
            "name",
            "platforms",
            "require",
        ),
        "$defs": {section: _section(section) for section in CLAIMS},
    }


# -- head -------------------------------------------------------------------------------------------


def _extended() -> Schema:
    digest = {"type": "string", "pattern": "^sha384:[0-9a-f]{96}$"}
    file = {"type": "string", "pattern": f"^{FILE_NAME.pattern}$"}
    return {"anyOf": [{"enum": list(BUILTINS)}, _object({"file": file, "digest": digest}, "file", "digest")]}


def _types(*kinds: str) -> Schema:
    return {
        "enum": [
            f"{section}.{name}"
            for section, claims in CLAIMS.items()
            for name, claim in claims.items()
            if (claim.kind in kinds if kinds else claim.kind not in ("tcb", "svn"))
        ]
    }


def _parameter() -> Schema:
    return _object({"type": _types(), "default": _TEXT, "override": _WORDS}, "type")


def _references() -> Schema:
    value = _object(
        {
            "value": _TEXT,
            "name": _WORDS,
            "covers": _COVERS,
            "state": {"enum": ["active", "observed", "revoked"]},
            "from": _DATE,
            "until": _DATE,
            "since": _DATE,
            "because": _WORDS,
            "origin": _WORDS,
        },
        "value",
    )
    values = {"type": "array", "minItems": 1, "maxItems": MAX_REFERENCES, "items": value}
    return _object({"type": _types("bytes", "text"), "values": values, "override": _WORDS}, "type", "values")


def _accepted() -> Schema:
    advisory = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)+$"}
    return _object(
        {"advisory": advisory, "until": _DATE, "because": _WORDS, "override": _WORDS},
        "advisory",
        "until",
        "because",
    )


# -- rules ------------------------------------------------------------------------------------------


def _section(section: str) -> Schema:
    """Rules of a section; `any`, `all` and `none` hold lists of such maps."""
    rules: Schema = {
        name: {**_rule(claim), "description": claim.about} for name, claim in CLAIMS[section].items()
    }
    if section == "snp":
        rules[FIXED.name] = _fixed()
    for group in GROUPS:
        rules[group] = {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{section}"}}
    found = _object(rules, least=1)
    if section in DEVICE_SECTIONS:
        found["description"] = "every device must pass every rule"
    return found


def _fixed() -> Schema:
    names = {"type": "array", "minItems": 1, "uniqueItems": True, "items": _WORDS}
    return {"description": FIXED.about, "anyOf": [names, _object({"is": names, **_about_rule()}, "is")]}


def _rule(claim: Claim) -> Schema:
    operators: Schema = {name: _operand(name, claim) for name in OPERATORS if applies(name, claim)}
    several = {
        **_object({**operators, **_about_rule()}, least=1),
        "anyOf": [{"required": [name]} for name in operators],
    }
    if "is" not in operators:
        return several
    return {"anyOf": [_literal(claim), several]}


def _about_rule() -> Schema:
    return {
        "else": {"enum": ["deny", "warn"]},
        "until": _DATE,
        "why": _WORDS,
        "fix": _WORDS,
        "override": _WORDS,
        "covers": _COVERS,
    }


def _operand(name: str, claim: Claim) -> Schema:
    if name == "exists":
        return {"enum": [True, False, "true", "false"]}
    if name == "in":
        return {"anyOf": [_WORDS, {"type": "array", "minItems": 1, "items": _WORDS}]}
    if name in ("one-of", "none-of", "subset-of"):
        item = _member(claim) if claim.kind == "set" else _literal(claim)
        return {"type": "array", "minItems": 1, "uniqueItems": True, "items": item}
    if claim.kind == "tcb":
        components = _object(dict.fromkeys(COMPONENTS, _BYTE), least=1)
        return {"anyOf": [components, _object(dict.fromkeys(PRODUCTS, components), least=1)]}
    if claim.kind == "svn":
        return {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^(1[0-5]|[0-9]|0[xX][0-9a-fA-F])$"},
            "additionalProperties": _BYTE,
        }
    if claim.kind == "version" and name == "at-least":
        return {"anyOf": [_literal(claim), _branches(claim)]}
    return _literal(claim)


def _branches(claim: Claim) -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {"newer": {"const": "ok"}},
        "patternProperties": {"^[0-9]{1,19}$": _literal(claim)},
        "additionalProperties": False,
    }


def _literal(claim: Claim) -> Schema:
    return {"anyOf": [_PARAMETER, _value(claim)]}


def _value(claim: Claim) -> Schema:
    """A value as it may be typed, by the claim's kind."""
    if claim.values:
        return {"enum": list(claim.values)}
    if claim.kind == "bool":
        return {"enum": [True, False, "true", "false"]}
    if claim.kind in ("int", "bits"):
        return _NUMBER
    if claim.kind == "bytes":
        sizes = "|".join(f"[0-9a-fA-F]{{{2 * size}}}" for size in claim.size)
        # Digits alone are a number to an editor.
        return {"anyOf": [{"type": "string", "pattern": f"^({sizes})$"}, {"type": "integer"}]}
    if claim.kind == "version":
        return {"type": ["string", "number"], "pattern": r"^[0-9]{1,19}(\.[0-9]{1,19}){0,3}$"}
    if claim.kind == "vbios":
        return {"type": ["string", "number"], "pattern": r"^[0-9a-fA-F]{2}(\.[0-9a-fA-F]{2}){0,4}$"}
    if claim.kind == "date":
        return _DATE
    if claim.kind == "duration":
        return {"type": "string", "pattern": "^[0-9]{1,10}[smhd]$"}
    if claim.kind == "set":
        return {"anyOf": [_member(claim), {"type": "array", "minItems": 1, "items": _member(claim)}]}
    return _TEXT


def _member(claim: Claim) -> Schema:
    return _WORDS


def _object(properties: Schema, *required: str, least: int = 0) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        found["required"] = list(required)
    if least:
        found["minProperties"] = least
    return found


def _named(pattern: str, value: Schema) -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": pattern},
        "additionalProperties": value,
    }
