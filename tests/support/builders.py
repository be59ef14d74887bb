"""Builders of small valid domain objects; each test changes the fields that it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rollback.canonical_json import sha256_of
from rollback.domain.releases.release import Release, ReleaseState, fingerprint, normalised_definition
from rollback.domain.request import Request, Trigger
from rollback.domain.rollback import Rollback

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SERVICE = "express-api"


def image(version: str) -> str:
    """Build the name of an image by a digest that differs for each version."""
    return f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/macro-ai-express-api@sha256:{sha256_of({'v': version})}"


def definition(version: str, **changes: Any) -> dict[str, Any]:
    """Build a registered task definition, as DescribeTaskDefinition returns it."""
    return {
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/macro-ai-production-task:1",
        "family": "macro-ai-production-task",
        "revision": 1,
        "status": "ACTIVE",
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [{"name": "api", "image": image(version), "essential": True, "environment": []}],
        **changes,
    }


def release(
    version: str, *, state: ReleaseState = ReleaseState.PROMOTED, hours_ago: float = 1, **changes: Any
) -> Release:
    """Build a release of the service that was first deployed `hours_ago`."""
    stored = definition(version)
    at = NOW - timedelta(hours=hours_ago)
    fields = {
        "service": SERVICE,
        "version": version,
        "fingerprint": fingerprint(stored, {}),
        "definition_arn": stored["taskDefinitionArn"],
        "definition_sha256": sha256_of(normalised_definition(stored, {})),
        "images": {"api": image(version)},
        "desired_count": 2,
        "first_deployed_at": at,
        "state": state,
        "state_since": at,
    }
    return Release.model_validate({**fields, **changes})


def rollback(**changes: Any) -> Rollback:
    """Build the document of a rollback that was just created."""
    fields = {
        "id": f"{SERVICE}-20260301T030000Z-00000000",
        "environment": "production",
        "request": Request(service=SERVICE),
        "trigger": Trigger.ALARM,
        "created_at": NOW,
    }
    return Rollback.model_validate({**fields, **changes})
