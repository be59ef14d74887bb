"""Deploy a given task definition without the ledger, for the day DynamoDB is down.

Nothing here reads or writes the ledger: no lease, no fence, no schema verdict and no evidence of a good release. So the
operator names the task definition, and confirms in words what can't be known.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rollback.domain.escalation import EscalationLevel
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.names import family_of, last_known_good_family, original_family
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.account_and_region import parse_account_and_region
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.actions import disable_ecs_rollback
from rollback.service.stack import read_stack_status
from rollback.text import quoted

_UNKNOWN = (
    "no lease: another rollback of the service may run at the same time",
    "no fence: a database rollback may hold services at zero tasks, or may be changing the data",
    "no schema check: whether this release fits the live database schema is not known",
    "no evidence that this release was good: whether it was promoted or quarantined is not known",
    "no record: the ledger learns nothing of this deployment from this command",
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Deployment:
    """A deployment that was checked, and not yet made.

    Attributes:
        configuration: changed parts of the deployment configuration; empty: none changes.
        previous_configuration: the same parts as they are now, to put back.
    """

    service: ServiceSettings
    definition_arn: str
    view: ServiceView
    configuration: Mapping[str, Any]
    previous_configuration: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def command_to_put_back(self) -> str:
        """Command that restores the deployment configuration, for the case that this process dies."""
        return shlex.join(
            (
                "aws", "ecs", "update-service", "--cluster", self.service.cluster, "--service",
                self.service.ecs_service, "--deployment-configuration", json.dumps(self.previous_configuration),
            )
        )  # fmt: skip

    def describe(self) -> Iterator[str]:
        """Describe what would change, what stays, and what can't be known."""
        running, target = _short(self.view.primary.definition_arn), _short(self.definition_arn)
        yield f"{self.service.name}: {running} → {target}, desired count {self.view.desired_count} stays"
        minimum = self.view.deployment_configuration.get("minimumHealthyPercent")
        if minimum is not None:
            yield f"minimumHealthyPercent {minimum} stays"
        for part, value in self.configuration.items():
            before = json.dumps(self.previous_configuration[part])
            yield f"{part}: {before} → {json.dumps(value)} until the deployment has ended"
        yield from self.warnings
        yield "Not known, since the ledger is not asked:"
        for fact in _UNKNOWN:
            yield f"  - {fact}"


def check_deployment(service: ServiceSettings, definition_arn: str, ports: AllPorts) -> Deployment:
    """Check that a service may be moved to a task definition, as far as ECS alone can tell. Changes nothing.

    Raises:
        InvalidRequest: the definition doesn't exist, is not ACTIVE, or is not this service's; or the service has no
            tasks.
        ExternalServiceError: ECS does not answer.
    """
    view = ports.services.describe(service)
    _require_own_definition(service, definition_arn, view, ports)
    if view.desired_count == 0:
        raise InvalidRequest(
            f"{service.name} has desired count 0: a database rollback may hold it there, and only the ledger knows. If "
            "none does, set the desired count with `aws ecs update-service` first; nothing was changed"
        )
    changed = disable_ecs_rollback(view.deployment_configuration, EscalationLevel.EMERGENCY)
    configuration = {part: value for part, value in changed.items() if view.deployment_configuration.get(part) != value}
    previous = {part: view.deployment_configuration[part] for part in configuration}
    return Deployment(service, definition_arn, view, configuration, previous, tuple(_warnings(service, view, ports)))


def find_last_known_good(service: ServiceSettings, ports: AllPorts) -> str | None:
    """Find the newest ACTIVE definition that was registered as last known good; None: there is none.

    The family is the product's own, so this needs no ledger. A release that was quarantined since may be in it.
    """
    family = original_family(family_of(ports.services.describe(service).primary.definition_arn))
    definition = ports.services.definition(last_known_good_family(family, ports.settings.environment, service.name))
    return str(definition["taskDefinitionArn"]) if definition is not None else None


def deploy(
    deployment: Deployment, ports: AllPorts, say: Say, sleep: Callable[[float], None] = time.sleep
) -> str | None:
    """Send UpdateService once, wait until the service is stable, and put the deployment configuration back.

    Args:
        deployment: the checked deployment.
        ports: access to ECS.
        say: prints a line.
        sleep: waits for a number of seconds.

    Returns:
        Reason why the service is not stable; None: it is.

    Raises:
        ExternalServiceError: UpdateService was refused, or did not take effect; nothing was changed.
    """
    service, definition_arn = deployment.service, deployment.definition_arn
    if deployment.configuration:
        say(f"If this process dies, put the configuration back with: {deployment.command_to_put_back}")
    try:
        ports.services.update(
            service,
            definition_arn=definition_arn,
            deployment_configuration=dict(deployment.configuration) or None,
            force_new_deployment=False,
        )
    except CallRefused:
        raise
    except ExternalServiceError as failure:  # its answer may be lost: ECS shows whether it took effect
        say(f"UpdateService got no clear answer, so ECS is asked whether it took effect: {failure}")
        if not _took_effect(deployment, ports, say, sleep):
            raise
    say(f"UpdateService has moved {service.name} to {_short(definition_arn)}")
    problem = _wait_until_stable(deployment, ports, say, sleep)
    if deployment.configuration and problem is None:
        _put_back(deployment, ports, say)
    elif deployment.configuration:  # rule 5: only once PRIMARY is COMPLETED, else ECS might go back to the bad release
        say(f"The deployment configuration is not put back yet. Once ECS is stable: {deployment.command_to_put_back}")
    return problem


def how_to_reconcile(environment: str, service: ServiceSettings, replaced_definition_arn: str) -> Iterator[str]:
    """Commands for the time when DynamoDB answers again."""
    yield "Once DynamoDB answers again:"
    yield (
        "  1. The janitor records the running release within minutes, if EventBridge and the functions work. An alarm "
        "that is still in ALARM may start an automatic rollback: to prevent it, run"
    )
    yield f"     rollback pause {environment} --service {service.name} --reason '…'"
    yield "  2. See what the ledger has as open, and end what is open by mistake:"
    yield f"     rollback status {environment}"
    yield f"  3. Quarantine the release that was replaced ({_short(replaced_definition_arn)}), by its name in:"
    yield f"     rollback versions {environment}"
    yield "  4. Check the running release, and end the pause:"
    yield f"     rollback verify {environment} --service {service.name}"
    yield f"     rollback resume {environment} --service {service.name} --reason '…'"


def _require_own_definition(service: ServiceSettings, definition_arn: str, view: ServiceView, ports: AllPorts) -> None:
    """Check that the definition is registered, ACTIVE, and of the family that the service runs.

    DescribeTaskDefinition also describes INACTIVE definitions, and takes a family, which means its newest revision.
    """
    is_revision = ":task-definition/" in definition_arn and definition_arn.rpartition(":")[2].isdecimal()
    if not is_revision:
        raise InvalidRequest(
            f"--task-definition is {quoted(definition_arn)}; allowed is the ARN of one revision, "
            "arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION; `aws ecs list-task-definitions "
            f"--family-prefix {original_family(family_of(view.primary.definition_arn))} --sort DESC` lists them"
        )
    if parse_account_and_region(definition_arn) != parse_account_and_region(view.arn):
        raise InvalidRequest(
            f"{definition_arn} is of another account or region than {view.arn}; nothing was changed. Give a revision "
            "of the service's own account and region"
        )
    family, running_family = (original_family(family_of(arn)) for arn in (definition_arn, view.primary.definition_arn))
    if family != running_family:
        raise InvalidRequest(
            f"{_short(definition_arn)} is of the family {family}, and {service.name} runs {running_family}; nothing "
            "was changed. Give a revision of the service's own family"
        )
    definition = ports.services.definition(definition_arn)
    if definition is None:
        raise InvalidRequest(
            f"ECS has no task definition {definition_arn}; nothing was changed. `aws ecs list-task-definitions "
            f"--family-prefix {family} --sort DESC` lists them"
        )
    if definition.get("status", "ACTIVE") != "ACTIVE":
        raise InvalidRequest(
            f"{_short(definition_arn)} is {definition['status']}: ECS starts no service from it; nothing was changed. "
            "Register it again, or give an ACTIVE revision"
        )
    containers = [container.get("name") for container in definition.get("containerDefinitions", [])]
    if service.container not in containers:
        raise InvalidRequest(
            f"{_short(definition_arn)} lacks the service's container, {service.container}; nothing was changed. Give "
            "a revision of this service"
        )
    if definition_arn == view.primary.definition_arn:
        raise InvalidRequest(
            f"{service.name} runs {_short(definition_arn)} already, or is deploying it; nothing was changed. Give the "
            "revision to go back to"
        )


def _warnings(service: ServiceSettings, view: ServiceView, ports: AllPorts) -> Iterator[str]:
    if view.primary.rollout_state == "IN_PROGRESS":
        yield f"A deployment of {_short(view.primary.definition_arn)} is in flight: this one replaces it"
    stack = read_stack_status(service, ports)
    if stack.state is StackState.NOT_KNOWN:
        yield f"Whether CloudFormation is changing the service is not known: {stack.why_not_known}"
    elif stack.state is not StackState.STABLE:
        yield f"CloudFormation is changing stack {service.stack}, and may overwrite this deployment"


def _took_effect(deployment: Deployment, ports: AllPorts, say: Say, sleep: Callable[[float], None]) -> bool:
    """Ask ECS whether PRIMARY is the given definition; a lost request may still arrive, so ECS is asked for a while."""
    until = ports.clock.now() + timedelta(seconds=ports.settings.policy.act_timeout_seconds)
    while True:
        try:
            if ports.services.describe(deployment.service).primary.definition_arn == deployment.definition_arn:
                return True
        except ExternalServiceError as failure:
            say(f"ECS could not be asked: {failure}")
        if ports.clock.now() >= until:
            return False
        sleep(ports.settings.policy.poll_seconds)


def _wait_until_stable(deployment: Deployment, ports: AllPorts, say: Say, sleep: Callable[[float], None]) -> str | None:
    """Wait until PRIMARY is the given definition, COMPLETED and alone; return why it is not after the time limit."""
    policy, last_state, was_seen = ports.settings.policy, "", False
    until = ports.clock.now() + timedelta(minutes=policy.service_timeout_minutes)
    while True:
        try:
            view = ports.services.describe(deployment.service)
            is_primary = view.primary.definition_arn == deployment.definition_arn
            was_seen = was_seen or is_primary
            if is_primary and not view.why_not_stable:
                return None
            if is_primary and view.primary.rollout_state == "FAILED":
                return f"ECS ended the deployment as FAILED: {'; '.join(view.why_not_stable)}"
            if not is_primary and (was_seen or view.primary.id != deployment.view.primary.id):
                return f"another deployment has replaced it: {_short(view.primary.definition_arn)} is PRIMARY now"
            # DescribeServices may lag behind UpdateService.
            state = "; ".join(view.why_not_stable) if is_primary else "ECS does not show the deployment yet"
        except ExternalServiceError as failure:
            state = f"ECS could not be asked: {failure}"
        if state != last_state:
            say(f"not stable yet: {state}")
            last_state = state
        if ports.clock.now() >= until:
            return f"not stable after {policy.service_timeout_minutes:g} minutes: {state}"
        sleep(policy.poll_seconds)


def _put_back(deployment: Deployment, ports: AllPorts, say: Say) -> None:
    """Put the deployment configuration back; a failure changes no result, and names the command."""
    try:
        ports.services.update(deployment.service, deployment_configuration=dict(deployment.previous_configuration))
    except ExternalServiceError as failure:
        say(f"The deployment configuration was not put back: {failure}. Run: {deployment.command_to_put_back}")
        return
    say(f"The deployment configuration is put back: {', '.join(deployment.previous_configuration)}")


def _short(definition_arn: str) -> str:
    return definition_arn.rsplit("/", 1)[-1]
