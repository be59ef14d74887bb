"""Rounds of checks of a running release, for `rollback verify`: wait until it settled, check, run the smoke command."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.ecs_service import ServiceView
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT, UNANSWERED
from rollback.verification.checks.smoke import CHECK_NAME as SMOKE_CHECK
from rollback.verification.checks.smoke import judge_smoke, run_smoke
from rollback.verification.checks.task_rules import WATCH
from rollback.verification.running_release import SETTLED_CHECK, check_running_release, judge_settling
from rollback.verification.verdict_rules import HealthVerdict, verdict_of

Sleep = Callable[[float], None]
OnRound = Callable[[int, tuple[Check, ...]], None]


@dataclass(frozen=True)
class HealthCheckOptions:
    """Options of a health check.

    Attributes:
        rounds: number of good rounds in a row.
        wait_minutes: limit until the deployment has settled; None: it is not waited for.
        timeout_minutes: time for the rounds; 0: the first bad round decides.
        runs_smoke: whether to run the smoke command after the rounds.
    """

    rounds: int
    wait_minutes: float | None
    timeout_minutes: float
    runs_smoke: bool


@dataclass(frozen=True)
class HealthCheckResult:
    """Result of a health check.

    Attributes:
        checks: checks of the last round.
        view: the service as ECS described it for that round.
    """

    verdict: HealthVerdict
    checks: tuple[Check, ...]
    view: ServiceView


def check_health(
    service: ServiceSettings, options: HealthCheckOptions, ports: AllPorts, on_round: OnRound, sleep: Sleep = time.sleep
) -> HealthCheckResult:
    """Check until enough good rounds followed each other, or a failure has lasted for the time of the rounds.

    Raises:
        ExternalServiceError: ECS can't be asked about the service at all.
    """
    view, settled = _wait_until_settled(service, options.wait_minutes, ports, sleep)
    if settled is not None and settled.verdict is Verdict.FAIL:
        return HealthCheckResult(HealthVerdict.FAILED, (settled,), view)
    began_at, good_rounds, number = ports.clock.now(), 0, 0
    alone_since = max(began_at, view.primary.created_at) if settled is not None else _alone_since(view, began_at)
    while True:
        number += 1
        view = ports.services.describe(service)
        checks = check_running_release(service, view, alone_since, ports)
        checks = (settled, *checks) if settled is not None else checks
        on_round(number, checks)
        verdict = verdict_of(checks)
        good_rounds = 0 if verdict is HealthVerdict.FAILED else good_rounds + 1
        is_watched = ports.clock.now() >= alone_since + WATCH  # tasks without a load balancer need this time
        if good_rounds >= options.rounds and (verdict is not HealthVerdict.NOT_YET or is_watched):
            break
        is_late = ports.clock.now() - began_at >= timedelta(minutes=options.timeout_minutes)
        if verdict is HealthVerdict.FAILED and is_late:
            return HealthCheckResult(verdict, checks, view)
        sleep(ports.settings.policy.verify_interval_seconds)
    if options.runs_smoke:
        checks = (*checks, _run_smoke(service, view, ports, sleep))
        verdict = verdict_of(checks)
    return HealthCheckResult(verdict, checks, view)


def _alone_since(view: ServiceView, now: datetime) -> datetime:
    """Without a wait, the tasks of a deployment that completed long ago have run alone for the whole window."""
    return max(view.primary.created_at, now - timedelta(minutes=10))


def _wait_until_settled(
    service: ServiceSettings, limit_minutes: float | None, ports: AllPorts, sleep: Sleep
) -> tuple[ServiceView, Check | None]:
    began_at = ports.clock.now()
    while True:
        view = ports.services.describe(service)
        if limit_minutes is None:
            return view, None
        waited_minutes = (ports.clock.now() - began_at).total_seconds() / 60
        settled = judge_settling(view, waited_minutes, limit_minutes)
        if settled is not None:
            return view, settled
        sleep(ports.settings.policy.poll_seconds)


def _run_smoke(service: ServiceSettings, view: ServiceView, ports: AllPorts, sleep: Sleep) -> Check:
    """Run the smoke command as a task of the running definition, until it ends or its limit stops it."""
    if not service.smoke_command:
        return Check.skipped(SMOKE_CHECK, f"no smoke_command is set for {service.name}")
    owner, run = f"verify-{uuid.uuid4().hex[:12]}", None
    began_at = ports.clock.now()
    limit = timedelta(seconds=service.smoke_timeout_seconds * 2)  # the start too, if ECS gives no clear answer
    while run is None or run.ended_at is None:
        try:
            run = run_smoke(service, run, view, owner, "smoke", ports)
        except ExternalServiceError as failure:
            if ports.clock.now() - began_at > limit:
                evidence = {NOT_LOOKED_AT: SMOKE_CHECK, UNANSWERED: SMOKE_CHECK}
                return Check.warned(SMOKE_CHECK, f"not looked at: {failure}", evidence=evidence)
        if run is None and ports.clock.now() - began_at > limit:
            evidence = {NOT_LOOKED_AT: SMOKE_CHECK, UNANSWERED: SMOKE_CHECK}
            return Check.warned(SMOKE_CHECK, "not looked at: ECS did not start the task", evidence=evidence)
        if run is None or run.ended_at is None:
            sleep(ports.settings.policy.poll_seconds)
    check = judge_smoke(service, run)
    if run.never_started:  # a missing permission or capacity says nothing about the release
        evidence = {**check.evidence, NOT_LOOKED_AT: SMOKE_CHECK, UNANSWERED: SMOKE_CHECK}
        return check.model_copy(update={"verdict": Verdict.WARN, "evidence": evidence})
    return check


__all__ = ["SETTLED_CHECK", "HealthCheckOptions", "HealthCheckResult", "check_health"]
