"""Commands for the operator's next step, ready to paste, the least harmful first."""

import shlex
from collections.abc import Iterator

from rollback.check import Verdict
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import RefusalKind
from rollback.names import family_of, last_known_good_family, original_family
from rollback.schema.compatibility_check import CHECK_NAME

_WITH_DATABASE = (RollbackType.DATABASE, RollbackType.FULL)


def next_commands(rollback: Rollback, service: ServiceSettings) -> list[str]:
    """List the commands; none starts a release on data that it can't work with."""
    environment, cluster, name = rollback.environment, service.cluster, service.ecs_service
    commands = [
        f"rollback status {environment}",
        f"rollback show {environment} {rollback.id}",
        f"aws ecs describe-services --cluster {cluster} --services {name} --query 'services[0].events[:5]'",
        *_data_commands(rollback),
    ]
    for service_name in dict.fromkeys(
        rollback.service_of_obligation(obligation) for obligation in rollback.left_to_operator()
    ):
        commands.append(f"rollback unfence {environment} --service {service_name} --reason '…'")
    target = rollback.plan.target if rollback.plan is not None else None
    if rollback.is_drill:  # the last known good runs already: a rollback would replace it for no reason
        scenario = rollback.request.type
        return [*commands, f"rollback drill {environment} --service {service.name} --scenario {scenario}"]
    if rollback.request.type is RollbackType.DATABASE:
        return commands
    if target is None:
        commands.append(f"rollback versions {environment}")
        if rollback.request.type is not RollbackType.FULL:
            start = f"rollback start {environment} --service {service.name} --target-version VERSION --force"
            commands.append(f"{start}{_direct_option(rollback)}")
    elif _may_target_work_with_the_data(rollback):
        start = f"rollback start {environment} --type emergency --service {service.name} --force"
        commands.append(f"{start}{_direct_option(rollback)}")
        family = _family_to_deploy(rollback, target, service.name)
        ecs_service = f"--cluster {cluster} --service {name}"
        commands.append(f"aws ecs update-service {ecs_service} --task-definition {family} --force-new-deployment")
    return commands


def _family_to_deploy(rollback: Rollback, target: Release, service_name: str) -> str:
    """The last-known-good family: the one that was deployed, else derived from the name of the target's own."""
    deployed_family = family_of(rollback.service.target_definition_arn or "") if rollback.service is not None else ""
    if deployed_family.endswith(last_known_good_family("", rollback.environment, service_name)):
        return deployed_family
    return last_known_good_family(original_family(family_of(target.definition_arn)), rollback.environment, service_name)


def _direct_option(rollback: Rollback) -> str:
    """Offer direct mode where AWS denied the function's role: the operator's credentials may be allowed."""
    is_denied = rollback.refusal is not None and rollback.refusal.kind == RefusalKind.ACCESS
    return " --direct" if is_denied else ""


def _data_commands(rollback: Rollback) -> Iterator[str]:
    """Offer the undo of a rollback that overwrote data, and the same request again for one that was refused."""
    progress = rollback.database
    if rollback.request.type not in _WITH_DATABASE or rollback.is_drill:
        return
    if progress is not None and progress.backup_id is not None:
        yield shlex.join(("rollback", "undo", rollback.environment, rollback.id))
    if rollback.outcome is Outcome.REFUSED and rollback.plan is not None:
        yield _same_request(rollback)


def _same_request(rollback: Rollback) -> str:
    """Repeat the request."""
    request = rollback.request
    options = {
        "--type": request.type.value,
        "--service": request.service,
        "--target-version": request.target_version,
        "--pr": request.pr,
        "--strategy": request.strategy,
        "--to": request.to.isoformat() if request.to is not None else None,
    }
    option_words = [str(word) for option, value in options.items() if value is not None for word in (option, value)]
    words = ["start", rollback.environment, *option_words]
    if request.undo is not None:
        words = ["undo", rollback.environment, request.undo]
    if request.force:
        words += ["--force", "--reason", request.reason or "…"]
    return shlex.join(("rollback", *words))


def _may_target_work_with_the_data(rollback: Rollback) -> bool:
    """Whether nothing is known against it: no failed schema check, and a full rollback restored the data."""
    checks = rollback.plan.checks if rollback.plan is not None else ()
    if any(check.name == CHECK_NAME and check.verdict is Verdict.FAIL for check in checks):
        return False
    if rollback.request.type is not RollbackType.FULL:
        return True
    return rollback.database is not None and rollback.database.has_succeeded


def report_command(rollback: Rollback) -> str:
    """Return the command that shows the written account."""
    return shlex.join(("rollback", "report", rollback.environment, rollback.id))
