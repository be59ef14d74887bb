"""The doctor finds each planted fault, names it, and says what to do; without a fault every check passes."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws_account import arn
from faults.scenarios.database_endings import raise_error
from simulations.doctor import FILES, LOG_GROUP, SECRET, TASK_ROLE, Patient, healthy_patient, with_settings
from support.builders import SERVICE, image

from rollback.check import Verdict
from rollback.domain.operator import Pause
from rollback.errors import ExternalServiceError
from rollback.names import leaf_alarm
from rollback.resources.database.errors import AccessRefused

PREFIX = "macro-ai-production"
FAIL, WARN, UNSEEN = Verdict.FAIL, Verdict.WARN, Verdict.SKIPPED
Plant = Callable[[Patient], object]


def deny(role: str, action: str) -> Plant:
    return lambda patient: patient.account.denied.add((role, action))


def change(path: str, value: Any) -> Plant:
    """Set an attribute, or an entry of a dictionary, of the account: `rules.on-alarm.State`."""

    def plant(patient: Patient) -> None:
        *parents, last = path.split(".")
        owner: Any = patient.account
        for name in parents:
            owner = owner[name] if isinstance(owner, dict) else getattr(owner, name)
        if isinstance(owner, dict):
            owner[last] = value
        else:
            setattr(owner, last, value)

    return plant


def remove(path: str, name: str) -> Plant:
    return lambda patient: getattr(patient.account, path).pop(name)


def clock_is_ahead(patient: Patient) -> None:
    patient.skew = timedelta(minutes=5)


def settings_differ(patient: Patient) -> None:
    policy = patient.simulation.ports.settings.policy.model_copy(update={"bake_minutes": 77})
    with_settings(patient, policy=policy)


def observe_mode(patient: Patient) -> None:
    with_settings(patient, policy=patient.simulation.ports.settings.policy.model_copy(update={"mode": "observe"}))


def another_version(patient: Patient) -> None:
    patient.version = f"0.0.9+{'a' * 64}"


def version_without_output(patient: Patient) -> None:
    patient.version = None


def another_definition(patient: Patient) -> None:
    machine = patient.account.machines["rollback"]
    definition = json.loads(machine["definition"])
    definition["States"]["Choose after verify"]["Choices"].pop()
    machine["definition"] = json.dumps(definition)


def alarm_of_another_group(patient: Patient) -> None:
    alarm = patient.account.metric_alarms[f"{PREFIX}-{SERVICE}-no-healthy-targets"]
    alarm["Metrics"][0]["MetricStat"]["Metric"]["Dimensions"][0]["Value"] = "targetgroup/former/1"


def alarm_without_data(patient: Patient) -> None:
    alarms = patient.simulation.alarms
    name = leaf_alarm(PREFIX, SERVICE, "no-healthy-targets")
    alarms.last_data[name] = patient.simulation.clock.now() - timedelta(hours=2)


def muted_alarm(patient: Patient) -> None:
    patient.simulation.alarms.muted[f"{PREFIX}-{SERVICE}-degraded"] = ("night",)


def circuit_breaker_off(patient: Patient) -> None:
    patient.simulation.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": False}


def no_room(patient: Patient) -> None:
    patient.simulation.services.deployment_configuration["maximumPercent"] = 100


def no_container_insights(patient: Patient) -> None:
    patient.simulation.services.container_insights = False


def unused_target_group(patient: Patient) -> None:
    from rollback.resources.aws.ecs_service import TargetHealth  # noqa: PLC0415

    groups: Any = patient.simulation.ports.target_groups
    unused = TargetHealth(target="10.0.0.1:8080", state="unused", reason="Target.NotInUse")
    groups.answers[patient.simulation.services.target_groups[0]] = (unused,)


def paused(patient: Patient) -> None:
    now = patient.simulation.clock.now()
    patient.simulation.ledger.put_pause(Pause(service=SERVICE, since=now, by="me", reason="a migration"))


def old_standing_plan(patient: Patient) -> None:
    patient.simulation.clock.pass_time(minutes=60 * 4)
    patient.account.date = patient.simulation.clock.now()


def image_gone(patient: Patient) -> None:
    patient.simulation.images.missing.add(image("v1"))


def expiring_images(patient: Patient) -> None:
    patient.account.images = [
        {
            "imageDigest": image(version).rpartition("@")[2],
            "imageTags": [version],
            "imagePushedAt": patient.account.date,
        }
        for version in ("v1", "v2")
    ]
    selection = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 3}
    patient.account.lifecycle = {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}


def unreadable_lifecycle(patient: Patient) -> None:
    expiring_images(patient)
    assert patient.account.lifecycle is not None
    patient.account.lifecycle["rules"][0]["selection"]["countType"] = "sinceImageTransitioned"


def another_volume(patient: Patient) -> None:
    for definition in patient.definitions():
        definition["volumes"] = [
            {"name": "windows", "fsxWindowsFileServerVolumeConfiguration": {"fileSystemId": "fs-1"}}
        ]


def references(kind: str, value: Any) -> Plant:
    def plant(patient: Patient) -> None:
        ports: Any = patient.simulation.ports.references
        getattr(ports, kind).discard(value)

    return plant


def secret_gone(patient: Patient) -> None:
    secrets: Any = patient.simulation.ports.secrets
    secrets.missing.add(SECRET)


def secret_not_visible(patient: Patient) -> None:
    secrets: Any = patient.simulation.ports.secrets
    secrets.exists = raise_error(ExternalServiceError("Secrets Manager did not answer"))


def neon_refuses(patient: Patient) -> None:
    patient.simulation.neon.project = raise_error(AccessRefused("401"))  # type: ignore[method-assign]


def project_of(patient: Patient, **changes: Any) -> None:
    project = patient.simulation.neon.project().model_copy(update=changes)
    patient.simulation.neon.project = lambda: project  # type: ignore[method-assign]


def short_history(patient: Patient) -> None:
    project_of(patient, history_retention_seconds=600)


def free_history(patient: Patient) -> None:
    project_of(patient, history_retention_seconds=6 * 3600)


def full_plan(patient: Patient) -> None:
    branch = next(iter(patient.simulation.neon.branches()))
    roots = tuple(branch.model_copy(update={"id": f"br-{number}", "name": f"root-{number}"}) for number in range(1, 6))
    patient.simulation.neon.branches = lambda: iter(roots)  # type: ignore[method-assign]


def other_branch(patient: Patient) -> None:
    database = patient.simulation.database.model_copy(update={"branch_id": "br-gone"})
    with_settings(patient, database=database)


def unprotected(patient: Patient) -> None:
    patient.simulation.neon.update_branch(patient.simulation.database.branch_id or "", protected=False)
    patient.simulation.neon.settle()


def unknown_role(patient: Patient) -> None:
    patient.simulation.neon.connection_uri = raise_error(AccessRefused("no role"))  # type: ignore[method-assign]


def two_projects(patient: Patient) -> None:
    patient.neon_projects = 2


def never_observed(patient: Patient) -> None:
    patient.simulation.ledger.observation = lambda branch: None  # type: ignore[method-assign]


def only_pending(topic: str) -> Plant:
    pending = {"Protocol": "email", "Endpoint": "ops@example.org", "SubscriptionArn": "PendingConfirmation"}
    return change(f"subscriptions.{topic}", [pending])


# Fault → plant, the check that finds it, its verdict, and a text in what it saw.
FAULTS: dict[str, tuple[Plant, str, Verdict, str]] = {
    "credentials of another account": (
        change("account", "999999999999"), "credentials-are-of-this-account", FAIL, "in account 999999999999",
    ),
    "another region": (change("region", "us-east-1"), "credentials-are-of-this-account", FAIL, "us-east-1"),
    "clock five minutes ahead": (clock_is_ahead, "clock-is-right", FAIL, "by 299 s"),
    "stack rolled back": (change("stack.StackStatus", "UPDATE_ROLLBACK_FAILED"), "stack-is-deployed", FAIL, "FAILED"),
    "stack in progress": (change("stack.StackStatus", "UPDATE_IN_PROGRESS"), "stack-is-deployed", WARN, "PROGRESS"),
    "stack of another version": (another_version, "stack-is-of-this-version", WARN, "deployed by 0.0.9 (aaaaaaaa)"),
    "stack of an old version": (version_without_output, "stack-is-of-this-version", WARN, "does not name the version"),
    "state machine of another version": (another_definition, "state-machine-is-of-this-version", FAIL, "verify"),
    "functions with other settings": (settings_differ, "functions-have-these-settings", FAIL, "policy"),
    "ledger gone": (change("table.TableStatus", "DELETING"), "ledger-is-active", FAIL, "DELETING"),
    "ledger without recovery": (change("recovery", "DISABLED"), "ledger-is-active", WARN, "without point-in-time"),
    "service may not update": (deny("service", "ecs:UpdateService"), "service-may-act", FAIL, "ecs:UpdateService on "),
    "promote may not pass a role": (deny("promote", "iam:PassRole"), "promote-may-act", FAIL, TASK_ROLE),
    "decide may not read the ledger": (deny("decide", "dynamodb:GetItem"), "decide-may-act", FAIL, "table/ledger"),
    "report may not read Neon's key": (
        deny("report", "secretsmanager:GetSecretValue"), "report-may-act", FAIL, "secretsmanager:GetSecretValue",
    ),
    "function failed to update": (
        change("functions.report.LastUpdateStatus", "Failed"), "report-may-act", FAIL, "its last update Failed",
    ),
    "rule disabled": (change("rules.on-alarm.State", "DISABLED"), "rule-on-alarm", FAIL, "is DISABLED"),
    "rule gone": (remove("rules", "on-deployment-failed"), "rule-on-deployment-failed", FAIL, "there is no rule"),
    "rule without target": (change("rules.janitor.targets", []), "rule-janitor", FAIL, "has no target report"),
    "rule on no alarm": (
        change("rules.on-alarm.EventPattern", '{"resources": []}'), "rules-match-every-alarm", FAIL, "-degraded",
    ),
    "rule on another service": (
        change("rules.on-deployment-failed.EventPattern", "{}"), "rules-match-every-service", FAIL, "no rule on-depl",
    ),
    "dead letter": (change("queues.dead-letters", 2), "dead-letters-are-empty", FAIL, "has 2 messages"),
    "failed invocation": (change("queues.failed-invocations", 1), "failed-invocations-are-empty", FAIL, "1 messages"),
    "queue gone": (remove("queues", "failed-invocations"), "failed-invocations-are-empty", FAIL, "there is no queue"),
    "state machine may not invoke": (
        deny("rollback-machine", "lambda:InvokeFunction"), "workflow-may-run", FAIL, "lambda:InvokeFunction",
    ),
    "state machine gone": (remove("machines", "promotion"), "promotion-may-run", FAIL, "there is no state machine"),
    "rules may not start": (deny("rules", "states:StartExecution"), "rules-may-start-state-machines", FAIL, "states:"),
    "function without a policy": (
        change("policies.report", None), "rules-may-invoke-report", FAIL, "does not let macro-ai-production-rollback-",
    ),
    "queue without a policy": (
        change("queue_policy", {"Statement": []}), "rules-may-use-the-dead-letter-queue", FAIL, "does not take events",
    ),
    "composite alarm gone": (
        remove("composites", f"{PREFIX}-{SERVICE}-outage"), "alarms-exist", FAIL, "-outage does not exist",
    ),
    "alarm gone": (
        remove("metric_alarms", f"{PREFIX}-{SERVICE}-error-rate"), "alarms-exist", FAIL, "-error-rate does not exist",
    ),
    "alarm without data": (alarm_without_data, "alarms-have-data", FAIL, "can't detect an outage"),
    "alarm on another group": (alarm_of_another_group, "alarms-watch-this-service", FAIL, "targetgroup/former/1"),
    "another load balancer": (change("balancer", "app/new/2"), "alarms-watch-this-service", FAIL, "app/api/1"),
    "alarm in ALARM": (
        change(f"composites.{PREFIX}-{SERVICE}-degraded.StateValue", "ALARM"), "alarms-are-quiet", WARN, "in ALARM now",
    ),
    "muted alarm": (muted_alarm, "alarms-are-quiet", WARN, "by night"),
    "circuit breaker off": (circuit_breaker_off, "circuit-breaker-is-on", FAIL, "breaker is off"),
    "no room for a deployment": (no_room, "deployments-have-room", FAIL, "no deployment can make progress"),
    "Container Insights off": (no_container_insights, "container-insights-is-on", FAIL, "is off for"),
    "unused target group": (unused_target_group, "target-groups-are-in-use", FAIL, "no load balancer checks"),
    "paused": (paused, "rollbacks-are-not-paused", FAIL, "a migration"),
    "observe mode": (observe_mode, "rollbacks-are-not-paused", WARN, "the mode is observe"),
    "janitor stopped": (old_standing_plan, "readiness-is-fresh", FAIL, "240 minutes ago"),
    "image gone": (image_gone, "image-exists (v1)", FAIL, "not in the registry"),
    "images expire": (expiring_images, "images-stay (v1)", FAIL, "rule 1 expires it 3 days after its push"),
    "unknown lifecycle rule": (unreadable_lifecycle, "images-stay (v1)", UNSEEN, "sinceImageTransitioned"),
    "role gone": (references("roles", TASK_ROLE), "roles-exist (v1)", FAIL, TASK_ROLE),
    "log group gone": (references("log_groups", ("", LOG_GROUP)), "log-groups-exist (v1)", FAIL, LOG_GROUP),
    "secret gone": (secret_gone, "secrets-exist (v1)", FAIL, SECRET),
    "secret not visible": (secret_not_visible, "secrets-exist (v1)", UNSEEN, "did not answer"),
    "file system gone": (remove("file_systems", FILES), "volumes-exist (v1)", FAIL, FILES),
    "volume of another kind": (another_volume, "volumes-exist (v1)", UNSEEN, "volume windows is of the kind fsx"),
    "Neon key refused": (neon_refuses, "neon-key-opens-the-project", FAIL, "does not open the project"),
    "Neon key of two projects": (two_projects, "neon-key-opens-no-other-project", WARN, "opens 2 projects"),
    "Neon plan full": (full_plan, "neon-plan-has-room-for-a-backup", FAIL, "5 of 5 root branches"),
    "Neon history too short": (short_history, "neon-history-is-long-enough", FAIL, "a rollback may need"),
    "Neon history short": (free_history, "neon-history-is-long-enough", WARN, "6 hours"),
    "Neon branch gone": (other_branch, "neon-branch-can-be-rolled-back", FAIL, "no branch br-gone"),
    "Neon branch unprotected": (unprotected, "neon-branch-is-protected", WARN, "is not protected"),
    "Neon role unknown": (unknown_role, "neon-address-is-direct-and-known", FAIL, "gives no connection URI"),
    "database never observed": (never_observed, "database-was-observed", WARN, "never observed"),
    "no page arrives": (
        change("subscriptions.rollbacks-critical", []), "pages-reach-a-person", FAIL, "has no subscription",
    ),
    "page not confirmed": (only_pending("rollbacks-critical"), "pages-reach-a-person", FAIL, "none of 1"),
    "report not confirmed": (only_pending("rollbacks"), "reports-reach-a-person", WARN, "none of 1"),
}  # fmt: skip


def test_a_healthy_environment_passes_every_check() -> None:
    findings = healthy_patient().findings()
    assert [finding for finding in findings if finding.verdict is not Verdict.PASS] == []
    assert len(findings) > 50


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_has_a_remedy(fault: str) -> None:
    plant, check, verdict, text = FAULTS[fault]
    patient = healthy_patient()
    plant(patient)
    objections = patient.objections()
    assert check in objections, sorted(objections)
    finding = objections[check]
    assert finding.verdict is verdict
    assert text in finding.seen
    assert finding.to_do


def test_a_stack_of_another_account_is_named() -> None:
    patient = healthy_patient()
    patient.account.account = "999999999999"
    seen = patient.objections()["credentials-are-of-this-account"].seen
    assert "the stack MacroAiProductionRollbackStack is in account 123456789012, eu-west-1" in seen


def test_an_environment_without_a_database_is_not_asked_about_one() -> None:
    patient = healthy_patient()
    with_settings(patient, database=None)
    assert {str(finding.group) for finding in patient.findings()}.isdisjoint({"database"})


def test_rules_that_are_continued_in_a_second_rule_count_together() -> None:
    patient = healthy_patient()
    first = patient.account.rules["on-alarm"]
    pattern = json.loads(first["EventPattern"])
    alarm = arn("cloudwatch", f"alarm:{PREFIX}-{SERVICE}-outage")
    pattern["resources"].remove(alarm)
    first["EventPattern"] = json.dumps(pattern)
    assert "rules-match-every-alarm" in patient.objections()
    patient.account.rules["on-alarm-2"] = {
        **first,
        "Name": f"{PREFIX}-rollback-on-alarm-2",
        "EventPattern": json.dumps({"resources": [alarm]}),
    }
    assert "rules-match-every-alarm" not in patient.objections()
