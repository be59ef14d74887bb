"""What a person can do next: commands ready to paste, the least harmful first."""

import shlex
from collections.abc import Iterator

from rollback.check import Verdict
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import RefusalKind
from rollback.names import family_of, last_known_good_family, original_family
from rollback.schema.refusal import CHECK_NAME

_WITH_DATABASE = (RollbackType.DATABASE, RollbackType.FULL)


def next_commands(rollback: Rollback, service: ServiceSettings) -> list[str]:
    """For whoever was paged. None of them starts a release on data that it was found not to work with."""
    environment, cluster, name = rollback.environment, service.cluster, service.ecs_service
    commands = [
        f"rollback status {environment}",
        f"rollback show {environment} {rollback.id}",
        f"aws ecs describe-services --cluster {cluster} --services {name} --query 'services[0].events[:5]'",
        *_about_data(rollback),
    ]
    for owing in dict.fromkeys(rollback.service_of_obligation(owed) for owed in rollback.left_to_operator()):
        commands.append(f"rollback unfence {environment} --service {owing} --reason '…'")
    target = rollback.plan.target if rollback.plan is not None else None
    if rollback.request.type is RollbackType.DATABASE:
        return commands
    if target is None:
        commands.append(f"rollback versions {environment}")
        if rollback.request.type is not RollbackType.FULL:
            start = f"rollback start {environment} --service {service.name} --target-version VERSION --force"
            commands.append(f"{start}{_by_whom(rollback)}")
    elif _target_fits_the_data(rollback):
        start = f"rollback start {environment} --type emergency --service {service.name} --force"
        commands.append(f"{start}{_by_whom(rollback)}")
        family = _family_to_deploy(rollback, target, service.name)
        on = f"--cluster {cluster} --service {name}"
        commands.append(f"aws ecs update-service {on} --task-definition {family} --force-new-deployment")
    return commands


def _family_to_deploy(rollback: Rollback, target: Release, service: str) -> str:
    """The family of the last known good: that which was deployed, else told by the name of the target's own."""
    deployed = family_of(rollback.service.target_definition_arn or "") if rollback.service is not None else ""
    told = last_known_good_family(original_family(family_of(target.definition_arn)), rollback.environment, service)
    is_last_known_good = deployed.endswith(last_known_good_family("", rollback.environment, service))
    return deployed if is_last_known_good else told


def _by_whom(rollback: Rollback) -> str:
    """Offer direct mode: the operator's credentials may do what the functions' roles may not."""
    denied = rollback.refusal is not None and rollback.refusal.kind == RefusalKind.ACCESS
    return " --direct" if denied else ""


def _about_data(rollback: Rollback) -> Iterator[str]:
    """The same again, for what was refused; what is behind it, for what has overwritten data."""
    progress = rollback.database
    if rollback.request.type not in _WITH_DATABASE:
        return
    if progress is not None and progress.backup_id is not None:
        yield shlex.join(("rollback", "undo", rollback.environment, rollback.id))
    if rollback.outcome is Outcome.REFUSED and rollback.plan is not None:
        yield _again(rollback)


def _again(rollback: Rollback) -> str:
    """As it was asked for; with the approval that it was refused for the want of."""
    request, checks = rollback.request, rollback.plan.checks if rollback.plan is not None else ()
    wants_approval = any(check.name == "approval" and check.verdict is Verdict.FAIL for check in checks)
    options = {
        "--type": request.type.value,
        "--service": request.service,
        "--target-version": request.target_version,
        "--pr": request.pr,
        "--strategy": request.strategy,
        "--to": request.to.isoformat() if request.to is not None else None,
    }
    asked = [str(word) for option, value in options.items() if value is not None for word in (option, value)]
    words = ["start", rollback.environment, *asked]
    if request.undo is not None:
        words = ["undo", rollback.environment, request.undo]
    if wants_approval or request.force:
        words += ["--force", "--reason", "approved by …" if wants_approval else request.reason or "…"]
    return shlex.join(("rollback", *words))


def _target_fits_the_data(rollback: Rollback) -> bool:
    """As far as it was judged: not if the schema was found to be against it, or the data is not where it should be."""
    checks = rollback.plan.checks if rollback.plan is not None else ()
    if any(check.name == CHECK_NAME and check.verdict is Verdict.FAIL for check in checks):
        return False
    if rollback.request.type is not RollbackType.FULL:
        return True
    return rollback.database is not None and rollback.database.has_succeeded
