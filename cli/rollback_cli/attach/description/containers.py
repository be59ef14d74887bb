"""Describe what the task definition names: container, roles, logs, repositories, environment files."""

from collections.abc import Iterator

from rollback_cli.attach.description.part import Decision, LeftOut, Part, join
from rollback_cli.attach.found import Container, Found
from rollback_cli.attach.names import EcrRepository

_STANDARD = "STANDARD"
_COMMIT_VARIABLE = "GIT_COMMIT"


def describe_containers(found: Found) -> Part:
    """Describe container, roles, logs, repositories and environment files."""
    return join([_roles(found), _logs(found), _images(found), _files(found), _commit(found)])


def _roles(found: Found) -> Part:
    definition = found.definition
    left_out: tuple[LeftOut, ...] = ()
    if not definition.execution_roles:
        left_out = (LeftOut("`execution_role_arns`", "no revision of the task definition names an execution role"),)
    return Part(
        existing={
            **({"task_role_arns": list(definition.task_roles)} if definition.task_roles else {}),
            **({"execution_role_arns": list(definition.execution_roles)} if definition.execution_roles else {}),
        },
        left_out=left_out,
    )


def _logs(found: Found) -> Part:
    reason = _why_no_log_group(found)
    if reason is None:
        return Part(existing={"log_group": found.container.log_group})
    decisions: tuple[Decision, ...] = ()
    if found.sharing is not None and found.sharing.log_group and found.container.log_group:
        decisions = (
            Decision(
                "Which lines of the shared log group are this service's errors?",
                "A filter pattern that selects its own lines allows the alarm on error logs: add both settings.",
                snippet={
                    "error_log_pattern": f'{{ $.service = "{found.container.name}" && $.level = "error" }}',
                    "existing": {"log_group": found.container.log_group},
                },
            ),
        )
    subject = "`log_group`, and with it the alarm on error logs"
    return Part(left_out=(LeftOut(subject, reason),), decisions=decisions)


def _why_no_log_group(found: Found) -> str | None:
    container, group = found.container, found.log_group
    if container.log_driver is None:
        return f"container `{container.name}` has no log configuration"
    if container.log_group is None:
        return f"container `{container.name}` logs by `{container.log_driver}`, and not to CloudWatch Logs"
    if (container.log_region or found.place.region) != found.place.region:
        return (
            f"`{container.log_group}` is in {container.log_region}, and a metric filter's alarm must be in its region"
        )
    if found.sharing is not None and found.sharing.log_group:
        names = ", ".join(f"`{name}`" for name in found.sharing.log_group)
        return f"`{container.log_group}` is shared with {names}, whose errors would count as this service's"
    if group is None:
        return None  # not read: the definition names it, and the page says that it was not read
    if group.log_class is None:
        return f"`{container.log_group}` does not exist yet"
    if group.log_class != _STANDARD:
        return (
            f"`{container.log_group}` has the log class {group.log_class}; metric filters are certain for STANDARD only"
        )
    return None


def _images(found: Found) -> Part:
    """Describe the repositories, by name where they are in this account and region, and by URI elsewhere."""
    own = found.container.repository
    others = [container for container in found.definition.containers if container.name != found.container.name]
    sidecars = list(
        dict.fromkeys(one.repository for one in others if one.repository is not None and one.repository != own)
    )
    existing = {
        **({"repository": _repository_setting(found, own)} if own is not None else {}),
        **({"sidecar_repositories": [_repository_setting(found, one) for one in sidecars]} if sidecars else {}),
    }
    return Part(
        existing=existing, left_out=tuple(_images_left_out(found, others)), decisions=tuple(_image_decisions(found))
    )


def _repository_setting(found: Found, repository: EcrRepository) -> str:
    return repository.name if repository.is_in(found.place) else repository.uri


def _images_left_out(found: Found, others: list[Container]) -> Iterator[LeftOut]:
    if found.container.repository is None:
        yield LeftOut(
            "`repository`",
            f"image `{found.container.image}` is not in a private ECR repository, so its expiry can't be judged",
        )
    for container in others:
        if container.repository is None:
            yield LeftOut(
                f"image of container `{container.name}`",
                f"`{container.image}` is not in a private ECR repository, so its expiry can't be judged",
            )
    for repository, exists in found.repositories.items():
        if exists is False:
            yield LeftOut(f"images of `{repository.uri}`", "ECR has no such repository any more")
        elif not repository.is_in(found.place):
            yield LeftOut(
                f"protection of images of `{repository.uri}` from expiry",
                "the repository is in another account or region: ask its owner to keep the images",
            )


def _image_decisions(found: Found) -> Iterator[Decision]:
    image = found.container.image
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if tag == "latest" or (not tag and "@" not in image):
        yield Decision(
            "Which tag names a version?",
            f"`{image}` runs by a tag that moves. Let the pipeline deploy a tag of its own for each version: the "
            "version of a release is the tag of its image.",
        )


def _files(found: Found) -> Part:
    buckets = dict.fromkeys(b for one in found.definition.containers for b in one.environment_file_buckets)
    return Part(service={"environment_file_buckets": list(buckets)} if buckets else {})


def _commit(found: Found) -> Part:
    if _COMMIT_VARIABLE in found.container.variables:
        return Part()
    return Part(
        decisions=(
            Decision(
                "Where is the git commit of a release?",
                f"Container `{found.container.name}` has no variable `{_COMMIT_VARIABLE}`, which is the default. "
                "Reports link no commit until a source is named.",
                snippet={"commit_from": "label:org.opencontainers.image.revision"},
            ),
        )
    )
