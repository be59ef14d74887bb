"""Event patterns of EventBridge compare the fields of one element of an array of objects; moto looks into no array.

EventBridge's matcher rejects a match whose fields come from different elements of an array (event-ruler, README, "And
and Or Relationship among fields with Ruler", and its `ACFinder`).
"""

from typing import Any

from moto.events.models import UNDEFINED, EventPattern


def install() -> None:
    """Replace moto's comparison of an event with a pattern."""
    EventPattern.matches_event = _matches_event


def _matches_event(self: Any, event: dict[str, Any]) -> bool:
    return not self._pattern or _matches(self, event, self._pattern)


def _matches(self: Any, node: Any, pattern: dict[str, Any]) -> bool:
    """Whether an object, or one element of an array of objects, has all fields of a pattern."""
    if isinstance(node, list):
        return any(_matches(self, element, pattern) for element in node)
    fields = node if isinstance(node, dict) else {}
    return all(
        any(_matches(self, node, alternative) for alternative in wanted)
        if name == "$or"
        else _field_matches(self, fields.get(name, UNDEFINED), wanted)
        for name, wanted in pattern.items()
    )


def _field_matches(self: Any, value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return _matches(self, value, wanted)
    return isinstance(wanted, list) and bool(self._does_item_match_filters(value, wanted))
