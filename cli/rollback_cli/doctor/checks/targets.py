"""Targets of a rollback: is there a target, could ECS start its tasks, and do its images stay?"""

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from rollback.check import Check, Verdict
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.target_readiness import NOT_KNOWN
from rollback.errors import CallRefused
from rollback.identity.identify import running_fingerprint
from rollback.identity.target_checks import reference_checks, target_checks
from rollback.identity.task_definition import read_standing_plan
from rollback.resources.aws.container_image import parse
from rollback_cli.doctor.aws_api import is_gone
from rollback_cli.doctor.definitions import UsedDefinition, definitions_in_use
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter, finding_of
from rollback_cli.doctor.lifecycle_rules import Fate, StoredImage, expiry_of

_MISSED_SWEEPS = 3
_MARGIN = timedelta(days=7)


def target_questions(x: Examination) -> list[Question]:
    """Ask about the targets of each service."""
    return [
        question(Group.TARGETS, f"{name}-{service.name}", partial(ask, service, x))
        for service in x.settings.services
        for name, ask in (
            ("rollbacks-are-not-paused", _mode),
            ("target-exists", _target),
            ("readiness-is-fresh", _fresh),
            ("nothing-is-left-to-an-operator", _leftovers),
            ("tasks-could-start", _could_start),
            ("images-stay", _images_stay),
            ("volumes-exist", _volumes),
        )
    ]


def _mode(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    pause = x.ports.ledger.pause(service.name)
    if pause is not None:
        return report.failed(
            f"automatic rollbacks are paused: {pause.reason}",
            f"run `rollback resume {x.environment} --service {service.name} --reason '…'`",
        )
    mode = x.settings.policy.mode
    if mode != "act":
        return report.warned(f"the mode is {mode}: every rollback is planned, and none acts", "set `mode` to act")
    return report.passed("the mode is act, and automatic rollbacks are not paused")


def _target(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    plan = read_standing_plan(service.name, x.ports)
    promote = f"rollback promote {x.environment} --service {service.name}"
    if plan is None or not plan.targets:
        return report.failed(
            "no release is promoted: there is no target",
            f"let a release bake, or promote the running release: run {promote}",
        )
    view = x.ports.services.describe(service)
    running = running_fingerprint(view, service, x.ports)
    targets = plan.usable_targets(running)
    if targets:
        return report.passed(f"a rollback from the running release would go to {targets[0].release.version}")
    newest = plan.newest_other(running)
    if newest is None:
        return report.warned(
            f"{plan.targets[0].release.version} runs, and is the only promoted release: the next release can go back",
            "nothing, until the next release is deployed",
        )
    to_do = f"correct what is missing, or promote another release: run {promote} --version …"
    return report.failed(f"{newest.release.version} is not ready: {newest.why_not_ready}", to_do)


def _fresh(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    """Check that the janitor's function still computes the standing plan."""
    plan = read_standing_plan(service.name, x.ports)
    if plan is None:
        return report.warned("no standing plan was computed yet", "wait for a release to be promoted")
    minutes = (x.now() - plan.computed_at).total_seconds() / 60
    seen = f"the standing plan was computed {minutes:.0f} minutes ago"
    limit = _MISSED_SWEEPS * max(x.settings.policy.readiness_minutes, 5)
    to_do = f"read the log of {x.function_name('promote')}: the janitor computes the plan again"
    return report.failed(seen, to_do) if minutes > limit else report.passed(seen)


def _leftovers(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    found = x.ports.ledger.obligations(service.name)
    left = [
        f"{entry.rollback_id}: {len(entry.left_to_operator())}" for entry in found.items if entry.left_to_operator()
    ]
    if left:
        return report.failed(
            f"settings that a rollback handed to an operator ({'; '.join(left)})",
            f"run `rollback unfence {x.environment} --service {service.name} --reason '…'`",
        )
    return report.passed("no rollback left a setting to an operator")


def _could_start(service: ServiceSettings, x: Examination, report: Reporter) -> list[Finding]:
    """Look up what the running definition and each target's definition refer to, and each target's images."""
    ports, findings = x.ports.for_readiness_checks(), list[Finding]()
    view = ports.services.describe(service)
    for definition in definitions_in_use(service, ports):
        if definition.content is None:
            to_do = "wait for the next readiness check, which registers the definition again"
            findings.append(report.failed(f"{definition.label}: ECS has no definition {definition.arn}", to_do))
            continue
        if definition.release is None:
            checks = tuple(reference_checks(definition.content, ports))
        else:
            checks = target_checks(definition.release, definition.arn, view, ports)
        findings += (_finding_of_check(check, definition, report) for check in checks if _is_told(check))
    return findings


def _is_told(check: Check) -> bool:
    """Leave out what another check here looks at, and comparisons with a value that was never recorded."""
    return check.verdict is not Verdict.SKIPPED


def _finding_of_check(check: Check, definition: UsedDefinition, report: Reporter) -> Finding:
    suffix = f" ({definition.label})"
    if NOT_KNOWN in check.evidence:
        named = Reporter(report.group, f"{check.name}{suffix}")
        return named.not_looked_at(check.reason.removeprefix("not checked: "), "allow the call to your role")
    return finding_of(report.group, check, "create it again, or promote another release", suffix=suffix)


def _images_stay(service: ServiceSettings, x: Examination, report: Reporter) -> list[Finding]:
    """Judge each repository's lifecycle policy for the images of the running release and of the targets."""
    findings: list[Finding] = []
    for definition in definitions_in_use(service, x.ports):
        images = definition.release.images.values() if definition.release is not None else definition.images
        named = Reporter(report.group, f"{report.check} ({definition.label})")
        findings += [_image_stays(str(image), definition, x, named) for image in images]
    return findings


def _image_stays(image: str, definition: UsedDefinition, x: Examination, report: Reporter) -> Finding:
    """Judge one image. The rules of another account's or region's repository are its owner's."""
    parsed = parse(image)
    if parsed is None:
        return report.warned(
            f"{image} is not in ECR: whether its registry keeps the image is not known", "nothing here"
        )
    if (parsed.account, parsed.region) != (x.place.account, x.place.region):
        seen = f"{image} is in another account or region: whether its owner keeps the image is not known"
        return report.warned(seen, f"ask the owner of {parsed.repository} to keep images that run")
    name, digest = parsed.repository, parsed.digest
    repository = {"registryId": parsed.account, "repositoryName": name}
    to_do = "create the repository and push the image again, or promote another release"
    try:
        details = x.aws.items("ecr", "DescribeImages", "imageDetails", **repository)
    except CallRefused as refused:
        if not is_gone(refused):
            raise
        return report.failed(f"ECR has no repository {name}", to_do)
    try:
        policy = json.loads(x.aws.call("ecr", "GetLifecyclePolicy", **repository)["lifecyclePolicyText"])
    except CallRefused as refused:
        if not is_gone(refused):
            raise
        return report.passed(f"{name} has no lifecycle policy: images stay")
    stored = [
        StoredImage(
            digest=str(detail["imageDigest"]),
            tags=tuple(detail.get("imageTags", ())),
            pushed_at=detail["imagePushedAt"],
            pulled_at=detail.get("lastRecordedPullTime"),
        )
        for detail in details
    ]
    tag = parsed.tag or "latest"
    own = next((s for s in stored if s.digest == digest or (not digest and tag in s.tags)), None)
    if own is None:
        return report.failed(f"ECR has no image {image}", "push the image again, or promote another release")
    expiry = expiry_of(own, stored, policy, x.now(), _MARGIN)
    to_do = (
        f"give {name} a rule with a lower number for tags that begin with last-known-good-, "
        "and a count that is never reached"
    )
    if expiry.fate is Fate.NOW:
        return report.failed(f"the image of {definition.label} is about to expire: {expiry.reason}", to_do)
    if expiry.fate is Fate.UNKNOWN:
        return report.not_looked_at(expiry.reason, "compare the lifecycle policy by hand")
    return report.passed(f"the image of {definition.label} stays: {expiry.reason}")


def _volumes(service: ServiceSettings, x: Examination, report: Reporter) -> list[Finding]:
    """Look up EFS file systems; another kind of volume is named as not looked at."""
    findings: list[Finding] = []
    for definition in definitions_in_use(service, x.ports):
        named = Reporter(report.group, f"{report.check} ({definition.label})")
        findings += _volumes_of(definition, x, named)
    return findings


def _volumes_of(definition: UsedDefinition, x: Examination, report: Reporter) -> Iterator[Finding]:
    volumes = (definition.content or {}).get("volumes", ())
    if not volumes:
        yield report.passed("the definition has no volume")
    for volume in volumes:
        efs, name = volume.get("efsVolumeConfiguration"), volume.get("name")
        others = [key for key in volume if key.endswith("VolumeConfiguration") and key != "efsVolumeConfiguration"]
        if others:
            yield report.not_looked_at(f"volume {name} is of the kind {others[0]}", "look the volume up by hand")
        elif efs is None:
            yield report.passed(f"volume {name} is made with each task")
        else:
            yield _file_system(str(efs["fileSystemId"]), x, report)


def _file_system(file_system: str, x: Examination, report: Reporter) -> Finding:
    to_do = "restore the file system from its backup, or promote another release"
    try:
        systems = x.aws.call("efs", "DescribeFileSystems", FileSystemId=file_system)["FileSystems"]
    except CallRefused as refused:
        if not is_gone(refused):
            raise
        return report.failed(f"the EFS file system {file_system} does not exist", to_do)
    state = systems[0].get("LifeCycleState") if systems else "gone"
    seen = f"the EFS file system {file_system} is {state}"
    return report.passed(seen) if state in ("available", "updating") else report.failed(seen, to_do)
