"""Rules of an ECR lifecycle policy that would expire an image, computed without ECR's preview.

The lowest `rulePriority` that selects an image by its tags decides about the image; a later rule never expires it. With
several prefixes or patterns a rule selects images that have a tag for each of them. Source: ECR user guide, "Lifecycle
policy properties" and "Lifecycle policy evaluation rules".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class StoredImage:
    """An image of a repository."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: datetime
    pulled_at: datetime | None = None


class Fate(StrEnum):
    """Effect of a lifecycle policy on an image."""

    KEPT = "kept"  # no rule expires it
    LATER = "later"  # a rule expires it, when time has passed or more images were pushed
    NOW = "now"  # the next evaluation expires it, or one within the margin
    UNKNOWN = "unknown"  # the rule has a shape that this version can't read


@dataclass(frozen=True)
class Expiry:
    """Effect on one image, with the deciding rule in words."""

    fate: Fate
    reason: str


def expiry_of(
    image: StoredImage, images: Iterable[StoredImage], policy: Mapping[str, Any], now: datetime, margin: timedelta
) -> Expiry:
    """Judge one image by the first rule that selects it.

    Args:
        image: the image that has to stay.
        images: all images of the repository.
        policy: the policy's document, `{"rules": […]}`.
        now: present time.
        margin: an image that expires within this time counts as expiring now.
    """
    for rule in sorted(policy.get("rules", ()), key=lambda rule: int(rule["rulePriority"])):
        selection = rule.get("selection", {})
        if not _selects(selection, image):
            continue
        name = f"rule {rule['rulePriority']}"
        if rule.get("action", {}).get("type") != "expire":
            return Expiry(Fate.UNKNOWN, f"{name} has the action {rule.get('action', {}).get('type')}")
        return _judge(name, selection, image, images, now, margin)
    return Expiry(Fate.KEPT, "no rule selects the image")


def _selects(selection: Mapping[str, Any], image: StoredImage) -> bool:
    match selection.get("tagStatus"):
        case "untagged":
            return not image.tags
        case "tagged":
            prefixes = [f"{prefix}*" for prefix in selection.get("tagPrefixList", ())]
            patterns = [*prefixes, *selection.get("tagPatternList", ())]
            return bool(image.tags) and all(
                any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in patterns
            )
        case _:
            return True


def _judge(
    name: str,
    selection: Mapping[str, Any],
    image: StoredImage,
    images: Iterable[StoredImage],
    now: datetime,
    margin: timedelta,
) -> Expiry:
    number = int(selection.get("countNumber", 0))
    match selection.get("countType"):
        case "imageCountMoreThan":
            selected = [other for other in images if _selects(selection, other)]
            newer = sum(other.pushed_at > image.pushed_at for other in selected)
            reason = f"{name} keeps {number} images, and {newer} newer ones exist"
            return Expiry(Fate.NOW if newer >= number else Fate.LATER, reason)
        case "sinceImagePushed":
            return _by_age(name, "its push", image.pushed_at, number, now, margin)
        case "sinceImagePulled":
            return _by_age(name, "its last pull", image.pulled_at or image.pushed_at, number, now, margin)
        case other:
            return Expiry(Fate.UNKNOWN, f"{name} counts by {other}")


def _by_age(name: str, event: str, since: datetime, days: int, now: datetime, margin: timedelta) -> Expiry:
    expires_at = since + timedelta(days=days)
    reason = f"{name} expires it {days} days after {event}, on {expires_at:%Y-%m-%d}"
    return Expiry(Fate.NOW if expires_at <= now + margin else Fate.LATER, reason)
