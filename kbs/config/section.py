"""From YAML to a typed section: strict keys, and every fault with the line it stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo

from attest.policy.nodes import ListNode, MapNode, Node, Place, Scalar, Unreadable
from attest.policy.yaml_text import parse_yaml
from attest.untrusted import escape


class Section(BaseModel):
    """Keys are the fields' names with hyphens. Frozen; what is not a field is refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )


@dataclass(frozen=True, slots=True)
class Above:
    """One key given elsewhere than in the file. said: how a fault names it, `--port`."""

    keys: tuple[str, ...]
    said: str
    value: str


class InvalidConfig(Exception):
    """faults: one sentence each, `FILE:LINE:COLUMN: what is wrong`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    base: Path = (info.context or {}).get("folder", Path())
    return base / path


def _must_be_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder: make it, or name another")
    return path


def _must_be_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} is no file: make it, or name another")
    return path


Placed = Annotated[Path, AfterValidator(_from_folder)]
Folder = Annotated[Path, AfterValidator(_from_folder), AfterValidator(_must_be_folder)]
Named = Annotated[Path, AfterValidator(_from_folder), AfterValidator(_must_be_file)]
"""Any path; a folder, or a file, that is there. Relative paths count from the configuration's folder."""


def sections_of(annotation: Any) -> list[type[Section]]:
    """The sections that may stand in a field of this type."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_of(part)]


def kind_of(section: type[Section]) -> str | None:
    """The word under `kind` that chooses this section among others, None where it is the only one."""
    field = section.model_fields.get("kind")
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    (word,) = get_args(field.annotation)
    return str(word)


def is_list(annotation: Any) -> bool:
    """Whether a field of this type is a list of what it holds."""
    return get_origin(annotation) in (list, tuple)


Model = TypeVar("Model", bound=Section)


def read_section(model: type[Model], text: bytes | None, file: Path, above: Sequence[Above] = ()) -> Model:
    """Raises InvalidConfig."""
    node: Node | None = None
    if text is not None:
        try:
            node = parse_yaml(text)
        except Unreadable as error:
            raise InvalidConfig(
                [f"{fault.place.within(str(file))}: {escape(fault.message, 300)}" for fault in error.faults]
            ) from None
    given = {} if node is None else _plain(node)
    if not isinstance(given, dict):
        raise InvalidConfig([f"{file}: a configuration is a map of keys"])
    for one in above:
        _put(given, one)
    try:
        return model.model_validate(given, context={"folder": file.parent})
    except ValidationError as error:
        said = {one.keys: one.said for one in above}
        raise InvalidConfig(
            [_sentence(dict(item), node, file, said) for item in error.errors(include_url=False)]
        ) from None


def _put(given: dict[str, Any], one: Above) -> None:
    *parents, last = one.keys
    place = given
    for name in parents:
        below = place.get(name)
        if not isinstance(below, dict):
            below = place[name] = {}
        place = below
    place[last] = one.value


def _plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    return {key.text: _plain(value) for key, value in node.entries}


_REASONS = {
    "missing": "is missing, and has no default",
    "extra_forbidden": "is no key that is known here",
    "model_type": "is a map of keys",
    "model_attributes_type": "is a map of keys",
    "union_tag_not_found": "needs the key kind, which says what it is",
}


def _sentence(item: dict[str, Any], node: Node | None, file: Path, said: dict[tuple[str, ...], str]) -> str:
    reason = _REASONS.get(item["type"], str(item["msg"]).removeprefix("Value error, "))
    option = said.get(tuple(map(str, item["loc"])))
    if option is not None:
        return f"{option}: {escape(reason, 300)}"
    if node is None:
        return f"{escape('.'.join(map(str, item['loc'])), 100)}: {escape(reason, 300)}"
    where, names = _find(node, item["loc"])
    return f"{where.within(str(file))}: {escape('.'.join(names) or 'the file', 100)}: {escape(reason, 300)}"


def _find(node: Node, loc: Sequence[int | str]) -> tuple[Place, list[str]]:
    """The place of what pydantic speaks of, as near as the file has it, and the names on the way."""
    place, names = node.place, []
    for step in loc:
        if isinstance(node, MapNode) and isinstance(step, str):
            found = next(((key, value) for key, value in node.entries if key.text == step), None)
            if found is None:
                # A missing key, or the name of a kind of section that stands for no key.
                names.append(step)
                continue
            place, node = found[0].place, found[1]
            names.append(step)
        elif isinstance(node, ListNode) and isinstance(step, int):
            node = node.items[step]
            place = node.place
            names.append(str(step + 1))
    return place, names
