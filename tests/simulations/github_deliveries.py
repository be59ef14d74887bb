"""The engine's records around a channel, for tests of one channel: one attempt, its error, and a death."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from examples.github import OTHER_SHA, SHA
from fakes.github import FakeGitHub
from simulations.fake_ports import SETTINGS, make_ports
from support.builders import NOW, release, rollback

from rollback.domain.approval.gate import Approval, ApprovedFacts, Decision, DecisionKind
from rollback.domain.delivery.delivery import Delivery
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.github import GitHubSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.all_ports import AllPorts

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:github-AbCdEf"
GITHUB = GitHubSettings(repository="macro-ai/shop", token_secret_arn=SECRET, deployment_environment="Production")
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:macro-ai-production-rollback:one"
BAD, GOOD = SHA, OTHER_SHA


def github_ports(settings: GitHubSettings | None = GITHUB, **parts: Any) -> AllPorts:
    """Return ports whose GitHub repository has the commits of both releases, deployed."""
    ports = make_ports(**parts)
    github = fake_of(ports)
    github.commits |= {BAD, GOOD}
    return replace(ports, settings=SETTINGS.model_copy(update={"github": settings}))


def fake_of(ports: AllPorts) -> FakeGitHub:
    assert isinstance(ports.github, FakeGitHub)
    return ports.github


def planned(**changes: Any) -> Rollback:
    """Return a rollback from v2 to v1 that has begun to act."""
    plan = Plan(
        running=release("v2", commit=BAD, hours_ago=1), target=release("v1", commit=GOOD, hours_ago=9), checks=()
    )
    acting = ServiceProgress(started_at=NOW, escalation_level_since=NOW, acted_at=NOW)
    return rollback(**{"plan": plan, "execution": EXECUTION, "admitted_at": NOW, "service": acting, **changes})


def concluded(outcome: Outcome = Outcome.SUCCEEDED, **changes: Any) -> Rollback:
    return planned(**{"outcome": outcome, "reason": "why", "concluded_at": NOW, **changes})


def gate(kind: DecisionKind | None = None) -> Approval:
    """Return a gate that is open, or that ended in the given way."""
    return Approval(
        requested_at=NOW,
        expires_at=NOW + timedelta(minutes=30),
        reasons=("a manual rollback",),
        nonce="n-1",
        approved_facts=ApprovedFacts(type="service", running="fingerprint"),
        decision=Decision(kind=kind, by="arn:aws:iam::123456789012:user/ada", at=NOW) if kind is not None else None,
    )


class Engine:
    """One channel's record, kept as the engine keeps it."""

    def __init__(self, channel: Any, ports: AllPorts) -> None:
        self.channel, self.ports = channel, ports
        self.record: Delivery | None = None

    def attempt(self, document: Rollback) -> str | None:
        """Make one attempt if it is due, and return the reference or the error; None: nothing was to be sent."""
        key, now = self.channel.key(document, self.ports), self.ports.clock.now()
        if key is None:
            return None
        last = self.record
        wanted = (last or Delivery(rollback_id=document.id, channel=self.channel.name)).want(key, document.version, now)
        if not wanted.may_be_sent(now):
            return None
        self.record = claimed = wanted.claim(now)
        try:
            reference = str(self.channel.send(document, last, self.ports))
        except ExternalServiceError as failure:
            refused = isinstance(failure, CallRefused)
            self.record = claimed.mark_failed(key, str(failure), now, is_refused=refused)
            return str(failure)
        self.record = claimed.mark_delivered(key, reference, now)
        return reference

    def attempt_until_delivered(self, document: Rollback, minutes: int = 5, rounds: int = 30) -> str:
        """Repeat as the janitor does, every few minutes."""
        for _ in range(rounds):
            answer = self.attempt(document)
            if self.record is not None and not self.record.is_due:
                return answer or self.record.reference
            self.ports.clock.pass_time(minutes=minutes)  # type: ignore[attr-defined]
        raise AssertionError(f"not delivered: {self.record}")
