"""State of a container image in its registry, for lists that operators read."""

from dataclasses import dataclass
from enum import StrEnum


class ImageStatus(StrEnum):
    """Status of an image by the registry's answer. Only `missing` says that the image is gone."""

    AVAILABLE = "available"
    ARCHIVED = "archived"  # ECS can't pull it until an operator restores it
    MISSING = "missing"
    NOT_LOOKED_AT = "not looked at"


@dataclass(frozen=True)
class ImageState:
    """Status of an image, and why ECS can't pull the image, or why the registry was not asked."""

    status: ImageStatus
    reason: str = ""
