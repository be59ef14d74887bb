"""Checks of one target: whether ECS could run it now. Each check is about one resource that its tasks need."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from rollback.check import Check
from rollback.domain.releases.release import Release
from rollback.domain.target_readiness import Existence, check_existence, unknown_check
from rollback.errors import ExternalServiceError
from rollback.identity.ports import ReferenceCheckPorts, TargetCheckPorts
from rollback.ports.holders import HasImages, HasTargetGroups
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback.resources.aws.definition_references import Reference, ReferenceKind, references
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.service_shape import check_fits_service

# Check → kinds of references that it looks up, and the fix if one is missing.
_KINDS = {
    "roles-exist": ((ReferenceKind.ROLE,), "ECS can't assume a missing role; create the role again under this ARN"),
    "log-groups-exist": ((ReferenceKind.LOG_GROUP,), "the log driver fails each start; create the log group again"),
    "secrets-exist": ((ReferenceKind.SECRET, ReferenceKind.PARAMETER), "create them again"),
    "files-exist": ((ReferenceKind.FILE,), "upload them again"),
    "other-references-exist": ((ReferenceKind.OTHER,), ""),
}


def target_checks(
    release: Release, definition_arn: str, view: ServiceView, ports: TargetCheckPorts
) -> tuple[Check, ...]:
    """Make all checks of a target, in a fixed order.

    Args:
        release: the target.
        definition_arn: ARN of the definition that is registered for the release.
        view: the service as ECS describes it now.
        ports: access to AWS, Neon and the ledger.
    """
    return (
        run_check("image-exists", lambda: check_images_exist(release, ports)),
        *_check_definition(definition_arn, view, ports),
        run_check("health-check-is-unchanged", lambda: _check_health_check_unchanged(release, view, ports)),
    )


def run_check(name: str, question: Callable[[], Check]) -> Check:
    """Make a check; an AWS service that does not answer makes the check a warning: silence is no evidence."""
    try:
        return question()
    except ExternalServiceError as failure:
        return unknown_check(name, str(failure))


def check_images_exist(target: Release, ports: HasImages) -> Check:
    """Check that every image of a release can still be pulled by digest."""
    existence = {name: ports.images.exists(image) for name, image in sorted(target.images.items())}
    missing_images = [target.images[name] for name, exists in existence.items() if exists is False]
    unreadable_images = [target.images[name] for name, exists in existence.items() if exists is None]
    evidence = {"images": dict(sorted(target.images.items()))}
    if missing_images:
        reason = f"not in the registry: {', '.join(missing_images)}; build and push it again, or name another target"
        return Check.failed("image-exists", reason, evidence=evidence)
    if target.pinned_by_reference:
        names = ", ".join(target.pinned_by_reference)
        reason = (
            f"the digest of {names} is not known: new tasks run the image that the tag names at their start; name the "
            "image by digest"
        )
        return Check.warned("image-exists", reason, evidence=evidence)
    if unreadable_images:
        reason = f"in another registry, or not readable for this role: {', '.join(unreadable_images)}"
        return Check.warned("image-exists", reason, evidence=evidence)
    return Check.passed("image-exists", "all images are in the registry, by digest", evidence=evidence)


def _check_definition(definition_arn: str, view: ServiceView, ports: TargetCheckPorts) -> Iterator[Check]:
    try:
        definition = ports.services.definition(definition_arn)
    except ExternalServiceError as failure:
        yield unknown_check("definition-is-registered", str(failure))
        return
    if definition is None or definition.get("status") != "ACTIVE":
        short = definition_arn.rsplit("/", 1)[-1]
        reason = f"{short} is not ACTIVE any more; the next readiness check registers it again"
        yield Check.warned("definition-is-registered", reason)
        return
    yield check_fits_service(definition, view.shape)
    yield from reference_checks(definition, ports)


def reference_checks(definition: Mapping[str, Any], ports: ReferenceCheckPorts) -> Iterator[Check]:
    """Check the resources that a definition refers to, by kind; the last check lists kinds that are not looked up."""
    all_references = references(definition)
    for name, (kinds, remedy) in _KINDS.items():
        selected = [reference for reference in all_references if reference.kind in kinds]
        if selected or ReferenceKind.OTHER not in kinds:
            yield run_check(name, partial(_check_references, name, selected, remedy, ports))


def _check_references(name: str, selected: list[Reference], remedy: str, ports: ReferenceCheckPorts) -> Check:
    return check_existence(name, {reference.in_words: _look_up(reference, ports) for reference in selected}, remedy)


def _look_up(reference: Reference, ports: ReferenceCheckPorts) -> Existence:
    """Look a reference up, but no role or parameter of another account: the look-up would search our own account."""
    if reference.kind is ReferenceKind.OTHER:
        return Existence.NOT_ASKED
    is_own_account = ports.account_and_region is None or reference.account() in (None, ports.account_and_region.account)
    if not is_own_account and reference.kind in (ReferenceKind.ROLE, ReferenceKind.PARAMETER):
        return Existence.HIDDEN
    exists = _exists(reference, ports)
    return Existence.HIDDEN if exists is None else Existence.THERE if exists else Existence.GONE


def _exists(reference: Reference, ports: ReferenceCheckPorts) -> bool | None:
    value = reference.value
    match reference.kind:
        case ReferenceKind.ROLE:
            return ports.references.role_exists(value)
        case ReferenceKind.LOG_GROUP:
            return ports.references.log_group_exists(value, reference.region)
        case ReferenceKind.FILE:
            return ports.references.file_exists(value)
        case ReferenceKind.SECRET:
            arn = value if value.startswith("arn:") else _secret_arn(value, ports.account_and_region)
            return ports.secrets.exists(arn) if arn is not None else None
        case ReferenceKind.PARAMETER:
            return ports.secrets.exists(value)
        case _:
            return None


def _secret_arn(name: str, account_and_region: AccountAndRegion | None) -> str | None:
    """ARN of a secret by name, in our own account and region; None: account and region are not known."""
    if account_and_region is None:
        return None
    arn = f"arn:{account_and_region.partition}:secretsmanager:{account_and_region.region}:{account_and_region.account}"
    return f"{arn}:secret:{name}"


def _check_health_check_unchanged(release: Release, view: ServiceView, ports: HasTargetGroups) -> Check:
    """Compare the target groups' health checks: a rollback does not change them, and an older release may fail them."""
    name = "health-check-is-unchanged"
    if not release.health_checks:
        return Check.skipped(name, "no health check was recorded with the release")
    current_checks = ports.target_groups.health_checks(view.target_groups)
    differences = [
        f"{arn.rsplit('/', 2)[-2]}: {part} was {recorded_value!r}, is {current_checks[arn].get(part)!r}"
        for arn, recorded_check in release.health_checks.items()
        if arn in current_checks
        for part, recorded_value in recorded_check.items()
        if current_checks[arn].get(part) != recorded_value
    ]
    if differences:
        reason = f"{'; '.join(differences)}: {release.version} may not pass this health check"
        return Check.warned(name, reason)
    return Check.passed(name, "the health checks are those that were recorded with the release")
