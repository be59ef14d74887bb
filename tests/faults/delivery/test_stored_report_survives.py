"""Conclude is killed at each effect with all channels on: no report is lost, and GitHub shows one issue and verdict.

The rollback, its steps, the engine, the janitor and the channels are the product's own. SNS, the bucket, the bus, the
webhook and the repository are fakes behind the fault injector.
"""

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any, cast

import pytest
from examples.github import OTHER_SHA, SHA
from fakes.aws.report_store import FakeReportStore
from fakes.aws.secrets import FakeSecrets
from fakes.github import FakeGitHub
from fakes.webhooks import FakeWebhooks
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled, crash_points
from faults.scenarios.service import EVENT, Incident
from pydantic import SecretStr
from simulations.github_deliveries import GITHUB
from support.builders import SERVICE

from rollback.delivery.channels import CHANNELS
from rollback.delivery.occasions import deliver_after_conclusion
from rollback.domain.delivery.delivery import Channel
from rollback.domain.rollback import Outcome
from rollback.domain.settings.chat import ChatSettings, ChatWebhook, SlackChannel, WebhookKind
from rollback.errors import ExternalServiceError
from rollback.reports.document.model import ReportDocument
from rollback.workflow import janitor
from rollback.workflow.route import Step
from rollback.workflow.runner import cursor_of, run_step

URL_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-url-AbCdEf"
COMMITS = {"v1": OTHER_SHA, "v3": SHA}


class ReportedIncident(Incident):
    """An incident with every channel, which has come to Conclude undisturbed."""

    def __init__(self) -> None:
        super().__init__(FaultInjector())
        self.github, self.webhooks, self.store = FakeGitHub(self.clock), FakeWebhooks(), FakeReportStore(is_made=True)
        self.github.commits |= set(COMMITS.values())
        self.github.list_delay_seconds = 300
        for sha in COMMITS.values():
            self.github.deploy(sha, "Production")
        secrets = FakeSecrets()
        secrets.values[URL_ARN] = SecretStr("https://hooks.example.test/x")
        chat = ChatSettings(
            webhook=ChatWebhook(kind=WebhookKind.GENERIC, url_secret_arn=URL_ARN),
            slack_channel=SlackChannel(workspace_id="T0", channel_id="C0"),
        )
        settings = self.real.settings.model_copy(update={"chat": chat, "github": GITHUB})
        receivers = {"github": self.github, "webhooks": self.webhooks, "report_store": self.store}
        self.real = replace(self.real, settings=settings, secrets=secrets, **cast("Any", receivers))
        receivers["events"] = self.real.events
        fragile = {name: cast("Any", CrashingProxy(port, self.outside)) for name, port in receivers.items()}
        self.ports = replace(self.ports, settings=settings, secrets=secrets, **fragile)
        self._run_to_conclude()

    def _run_to_conclude(self) -> None:
        cursor = self._enter(EVENT, "execution-1", self.clock.now())
        while cursor.next is not Step.CONCLUDE:
            cursor = run_step(cursor.rollback_id, cursor.next, self.ports)
            self.pass_time(seconds=cursor.wait_seconds)
            self._record_commits(cursor.rollback_id)
        self.rollback_id = cursor.rollback_id
        self.outside.kill_at_call(None, after=False)

    def _record_commits(self, rollback_id: str) -> None:
        """Give both releases of the plan a commit, as the ledger records it from an image's label."""
        document = self.ledger.read(SERVICE, rollback_id)
        plan = document.plan
        if plan is None or plan.target is None or plan.running.commit:
            return
        running, target = (r.model_copy(update={"commit": COMMITS[r.version]}) for r in (plan.running, plan.target))
        changed = plan.model_copy(update={"running": running, "target": target})
        self.ledger.save(document.evolve(plan=changed))

    def conclude(self) -> None:
        """Conclude and deliver, as the function `report` does."""
        cursor = cursor_of(self.ledger.read(SERVICE, self.rollback_id))
        while cursor.next is not Step.DONE:
            cursor = run_step(self.rollback_id, cursor.next, self.ports)
            self.pass_time(seconds=cursor.wait_seconds)
        deliver_after_conclusion(self.rollback_id, self.ports)

    def sweep(self, hours: int = 3) -> None:
        for _ in range(hours * 12):
            self.pass_time(minutes=5)
            janitor.sweep(self.ports)

    def run(self, kill_at: int | None = None, *, after: bool = False, is_retried: bool = True) -> None:
        """Conclude with a death at one effect; Step Functions invokes the function again, or only the janitor runs."""
        self.outside.kill_at_call(kill_at, after=after)
        try:
            self.conclude()
        except ProcessKilled:
            self.outside.restart_process()
            if is_retried:
                self.conclude()
        self.sweep()

    def report_ids(self) -> list[str]:
        return [sent.attributes["report_id"] for sent in self.notifications.sent]

    def message_ids(self) -> Counter[str]:
        return Counter(json.loads(request.body)["message_id"] for request in self.webhooks.posted)


@cache
def calls_of_conclude() -> int:
    incident = ReportedIncident()
    incident.conclude()
    return incident.outside.calls


def expect_all_reported(incident: ReportedIncident) -> None:
    rollback = incident.ledger.read(SERVICE, incident.rollback_id)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.is_reported
    assert set(incident.report_ids()) == {f"{rollback.id}:succeeded"}, "a copy has the same report_id"
    assert len(incident.report_ids()) <= 2
    assert list(incident.ledger.due_deliveries()) == []
    for name in Channel:
        delivery = incident.ledger.delivery(rollback.id, name)
        assert delivery is not None, name
        assert delivery.delivered_key == delivery.wanted_key, name

    forms = {key.rpartition(".")[2]: text for key, (_, text) in incident.store.objects.items()}
    assert set(forms) == {"html", "md", "json"}
    assert ReportDocument.model_validate_json(forms["json"]).outcome == "succeeded"

    (issue,) = [stored.issue for stored in incident.github.stored.values()]
    assert issue.state == "closed"
    assert "## Timeline" in issue.body
    assert [str(status.state) for status in incident.github.statuses[SHA]] == ["failure"]
    (message_id,) = incident.message_ids()
    assert message_id == f"{rollback.id}:1:concluded"
    assert incident.message_ids()[message_id] <= 2, "more than the crash's own copy was posted"


def test_without_a_death_each_receiver_gets_one_message_and_the_page_is_stored_before_they_link_to_it() -> None:
    incident = ReportedIncident()
    incident.run()
    expect_all_reported(incident)
    assert len(incident.report_ids()) == 1
    assert list(incident.message_ids().values()) == [1]
    assert CHANNELS[0].name is Channel.STORED_REPORT
    assert json.loads(incident.webhooks.posted[0].body)["report_url"].startswith("https://reports.s3.test/")
    assert calls_of_conclude() > 25, "the scenario has the effects of all channels"


@pytest.mark.parametrize("is_retried", [True, False], ids=["invoked again", "left to the janitor"])
@pytest.mark.parametrize(("kill_at", "after"), crash_points(calls_of_conclude()))
def test_killed_at_each_effect_no_report_is_lost(kill_at: int, after: bool, is_retried: bool) -> None:
    incident = ReportedIncident()
    incident.run(kill_at, after=after, is_retried=is_retried)
    expect_all_reported(incident)


def test_a_bucket_that_is_down_delays_the_stored_report_and_nothing_else() -> None:
    incident = ReportedIncident()
    real_put, failures = incident.store.put, [1] * 3

    def put(key: str, content_type: str, text: str) -> None:
        if failures:
            failures.pop()
            raise ExternalServiceError("PutObject got no answer")
        real_put(key, content_type, text)

    incident.store.put = put  # type: ignore[method-assign]
    incident.conclude()
    assert incident.store.objects == {}
    assert len(incident.github.stored) == 1
    assert len(incident.webhooks.posted) == 1
    incident.sweep()
    expect_all_reported(incident)
