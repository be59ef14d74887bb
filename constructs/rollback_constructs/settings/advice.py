"""Advice on valid settings that few teams want: warnings of a synth, which is never refused for them."""

from collections.abc import Iterator
from dataclasses import dataclass

from rollback_constructs.messages.recipients import TopicName
from rollback_constructs.settings.environment import Environment
from rollback_constructs.settings.service import Service

# Each poll is a state transition and calls of ECS, ELB and CloudWatch, for each open rollback.
_FEWEST_POLL_SECONDS = 5


@dataclass(frozen=True)
class Advice:
    """One piece of advice.

    Attributes:
        id: id by which an app acknowledges it (`Annotations.acknowledge_warning`).
        text: path and value of the setting, why it is unusual, and what to set.
    """

    id: str
    text: str


def find_advice(settings: Environment, environment: str) -> Iterator[Advice]:
    """Yield the advice on an environment's settings.

    Args:
        settings: valid settings.
        environment: name of the environment.
    """
    path = f"environments.{environment}"
    yield from _find_unnotified(settings, path)
    policy = settings.policy
    if "mode" not in policy.model_fields_set:
        yield Advice(
            "rollback:mode-not-decided",
            f"{path}.policy.mode is not set, so {environment} acts from its first alarm on: set observe for the first "
            "weeks, which plans and reports without a change, or act",
        )
    if policy.poll_seconds < _FEWEST_POLL_SECONDS:
        yield Advice(
            "rollback:fast-polls",
            f"{path}.policy.poll_seconds is {policy.poll_seconds:g}: each poll calls AWS, whose limits the whole "
            f"account shares; at least {_FEWEST_POLL_SECONDS} is advised",
        )
    for service in settings.services:
        yield from _find_wrong_scheme(service, f"{path}.services.{service.name}")


def _find_unnotified(settings: Environment, path: str) -> Iterator[Advice]:
    """An empty list is a decision: another tool subscribes to the topics, as the doctor checks."""
    if settings.notify is None:
        reason = "is not set"
    elif settings.notify and not any(TopicName.CRITICAL in recipient.topics for recipient in settings.notify):
        reason = "has no recipient of the topic critical"
    else:
        return
    yield Advice(
        "rollback:no-recipient-of-pages",
        f'{path}.notify {reason}, so a failed rollback pages nobody: set ["mailto:<address>"], or [] if another tool '
        "subscribes to the topics",
    )


def _find_wrong_scheme(service: Service, path: str) -> Iterator[Advice]:
    """Compare the scheme of the probes' address with the listener of the load balancer that the stack creates."""
    if service.workload is None or service.base_url is None:
        return
    scheme, _, _ = service.base_url.partition(":")
    has_certificate = service.workload.certificate_arn is not None
    if scheme == "https" and not has_certificate:
        yield Advice(
            "rollback:https-without-certificate",
            f"{path}.base_url is {service.base_url!r}, and the load balancer has an HTTP listener only: set "
            "workload.certificate_arn, unless a CDN in front of it ends TLS",
        )
    if scheme == "http" and has_certificate:
        yield Advice(
            "rollback:certificate-without-https",
            f"{path}.base_url is {service.base_url!r}, and the load balancer has an HTTPS listener only: set https://",
        )
