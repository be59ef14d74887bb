"""ECR's lifecycle rules: the lowest number that selects an image decides whether, and when, ECR expires the image."""

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOW

from rollback_cli.doctor.lifecycle_rules import Fate, StoredImage, expiry_of

MARGIN = timedelta(days=7)


def image(digest: str, *tags: str, days_old: float = 1) -> StoredImage:
    return StoredImage(digest, tags, NOW - timedelta(days=days_old))


def rule(number: int, count: int, count_type: str = "imageCountMoreThan", **selection: Any) -> dict[str, Any]:
    selection = {"tagStatus": "any", "countType": count_type, "countNumber": count, **selection}
    return {"rulePriority": number, "selection": selection, "action": {"type": "expire"}}


def tagged(*prefixes: str) -> dict[str, Any]:
    return {"tagStatus": "tagged", "tagPrefixList": list(prefixes)}


GOOD = image("good", "v1", "last-known-good-production-1", days_old=90)
KEEPS_GOOD = rule(1, 1000, **tagged("last-known-good-"))


def fate(rules: list[dict[str, Any]], *others: StoredImage, of: StoredImage = GOOD) -> Fate:
    return expiry_of(of, (of, *others), {"rules": rules}, NOW, MARGIN).fate


def test_an_image_that_no_rule_selects_is_kept() -> None:
    assert fate([rule(1, 1, tagStatus="untagged")]) is Fate.KEPT
    assert fate([]) is Fate.KEPT


@pytest.mark.parametrize(("newer", "expected"), [(0, Fate.LATER), (1, Fate.LATER), (2, Fate.NOW), (3, Fate.NOW)])
def test_a_count_expires_the_image_once_enough_newer_ones_exist(newer: int, expected: Fate) -> None:
    assert fate([rule(1, 2)], *(image(f"new-{n}", f"v{n}") for n in range(newer))) is expected


@pytest.mark.parametrize(("days", "expected"), [(90, Fate.NOW), (96, Fate.NOW), (98, Fate.LATER)])
def test_an_age_expires_the_image_within_the_margin(days: int, expected: Fate) -> None:
    assert fate([rule(1, days, "sinceImagePushed")]) is expected


def test_the_lowest_number_decides_in_whatever_order_the_rules_are() -> None:
    many = [image(f"new-{n}", f"v{n}") for n in range(5)]
    assert fate([rule(2, 1), KEEPS_GOOD], *many) is Fate.LATER
    assert fate([rule(2, 1), {**KEEPS_GOOD, "rulePriority": 3}], *many) is Fate.NOW


def test_a_rule_with_several_prefixes_wants_a_tag_for_each() -> None:
    expiring = rule(1, 0, **tagged("v", "rc-"))
    assert fate([expiring]) is Fate.KEPT
    assert fate([expiring], of=image("rc", "v1", "rc-1")) is Fate.NOW


def test_a_rule_with_patterns_selects_by_wildcards() -> None:
    patterns: dict[str, Any] = {"tagStatus": "tagged", "tagPatternList": ["*-production-*"]}
    assert fate([rule(1, 0, **patterns)]) is Fate.NOW
    assert fate([rule(1, 0, **patterns)], of=image("plain", "v1")) is Fate.KEPT


def test_an_unknown_rule_is_not_taken_for_harmless() -> None:
    assert fate([rule(1, 1, "sinceImageTransitioned")]) is Fate.UNKNOWN
    assert fate([{**rule(1, 1), "action": {"type": "transition"}}]) is Fate.UNKNOWN
