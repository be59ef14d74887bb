"""Container image: the parts of its name in ECR, and its state in its registry."""

import re
from dataclasses import dataclass
from enum import StrEnum

_ECR = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.(?:com(?:\.cn)?|eu))"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)  # the suffix differs by partition (botocore, endpoints.json, `dnsSuffix`)


@dataclass(frozen=True)
class EcrImage:
    """Parts of `<account>.dkr.ecr.<region>.<suffix>/<repository>[:tag][@digest]`."""

    registry: str
    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None


def parse(image: str) -> EcrImage | None:
    """Parse an image's name, or return None if the image is not in ECR."""
    match = _ECR.fullmatch(image)
    return EcrImage(**match.groupdict()) if match else None


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
