"""What every reader of a part of a policy does: take nodes apart, and note what is wrong at its place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from attest.claims import CLAIMS, SECTIONS, Claim
from attest.policy.kinds import day_or_instant
from attest.policy.nodes import MAX_FAULTS, Fault, MapNode, Node, Place, Scalar, Unreadable
from attest.policy.suggest import did_you_mean


class Pieces:
    """faults: what is wrong so far. What was read means nothing while there are any."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.faults = faults
        self._file = file

    def _map(self, node: Node | None, what: str) -> MapNode:
        if isinstance(node, MapNode):
            return node
        place = node.place if node else Place()
        self._fault(place, f"{what} is a map")
        return MapNode((), place)

    def _entries(self, node: MapNode, keys: Iterable[str], what: str) -> dict[str, Node]:
        keys = tuple(keys)
        known: dict[str, Node] = {}
        for key, child in node.entries:
            if key.text in keys:
                known[key.text] = child
            else:
                self._unknown(key.place, f'unknown {what} "{key.text}"', key.text, keys)
        return known

    def _text(self, node: Node | None, what: str) -> str | None:
        if node is None or isinstance(node, Scalar):
            return node.text if node else None
        self._fault(node.place, f"{what} is text")
        return None

    def _choice(self, node: Node | None, what: str, choices: tuple[str, ...]) -> str | None:
        text = self._text(node, what)
        if node is not None and text is not None and text not in choices:
            self._unknown(node.place, f'{what} is {" or ".join(choices)}, not "{text}"', text, choices)
            return None
        return text

    def _date(self, node: Node | None, what: str, *, end: bool = False) -> datetime | None:
        text = self._text(node, what)
        if node is None or text is None:
            return None
        try:
            return day_or_instant(text, end=end)
        except ValueError as error:
            self._fault(node.place, f"{what} wants {error}")
            return None

    def _type(self, node: Node | None, place: Place) -> Claim | None:
        """The claim that a parameter or a set is of."""
        text = self._text(node, "type")
        if text is None:
            if node is None:
                self._fault(place, '"type" is missing, such as snp.measurement')
            return None
        section, _, name = text.partition(".")
        claim = CLAIMS.get(section, {}).get(name)
        if claim is None:
            names = [f"{section}.{name}" for section in SECTIONS for name in CLAIMS[section]]
            self._unknown(node.place if node else place, f'unknown type "{text}"', text, names)
        return claim

    def _fault(self, place: Place, message: str, code: str = "policy.invalid") -> None:
        self.faults.append(Fault(place, message, code, self._file))
        if len(self.faults) >= MAX_FAULTS:
            raise Unreadable(self.faults)

    def _unknown(self, place: Place, message: str, word: str, known: Iterable[str]) -> None:
        self._fault(place, message + did_you_mean(word, known))
