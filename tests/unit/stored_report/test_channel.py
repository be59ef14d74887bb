"""The stored report: when it is stored, which forms it has, and which link messages carry."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fakes.aws.alarms import TARGET_GROUP, FakeAlarms
from fakes.aws.report_store import FakeReportStore
from faults.scenarios.database_endings import raise_error
from simulations.fake_ports import make_ports
from support.builders import NOW, release
from support.reported_rollbacks import succeeded

from rollback.conclusion.send_report import send_report
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.incident.gather import gather_evidence
from rollback.ports.all_ports import AllPorts
from rollback.reports.document.model import ReportDocument
from rollback.stored_report.channel import StoredReport
from rollback.stored_report.link import report_link

COMMAND = "rollback report production express-api-20260301T030000Z-00000000"


@pytest.fixture
def store() -> FakeReportStore:
    return FakeReportStore(is_made=True)


@pytest.fixture
def ports(store: FakeReportStore) -> AllPorts:
    alarms = FakeAlarms()
    alarms.serve(TARGET_GROUP, 40, NOW - timedelta(minutes=1))
    return make_ports(alarms=alarms, report_store=store)


def with_target_group() -> Rollback:
    running = release("v1.4.0", hours_ago=0.2, health_checks={TARGET_GROUP: {}})
    return succeeded(plan=Plan(running=running, target=release("v1.3.2"), checks=()))


def test_a_concluded_rollback_is_stored_as_page_data_and_markdown(ports: AllPorts, store: FakeReportStore) -> None:
    reference = StoredReport().send(with_target_group(), None, ports)
    types = {key.rpartition(".")[2]: content_type for key, (content_type, _) in store.objects.items()}
    assert types == {"json": "application/json", "md": "text/markdown", "html": "text/html"}
    assert reference in store.objects


def test_the_page_is_stored_last(ports: AllPorts, store: FakeReportStore) -> None:
    StoredReport().send(with_target_group(), None, ports)
    assert [*store.objects][-1].endswith("report.html")


def test_nothing_is_stored_before_the_conclusion_or_without_a_bucket(ports: AllPorts) -> None:
    channel = StoredReport()
    assert channel.key(with_target_group().evolve(concluded_at=None), ports) is None
    assert channel.key(with_target_group(), replace(ports, report_store=FakeReportStore())) is None
    assert channel.key(with_target_group(), ports) is not None


def test_traffic_that_cloudwatch_dropped_is_kept_from_the_stored_account(
    ports: AllPorts, store: FakeReportStore
) -> None:
    document = with_target_group()
    key = StoredReport().send(document, None, ports).replace(".html", ".json")
    last = Delivery(rollback_id=document.id, channel=Channel.STORED_REPORT)
    StoredReport().send(document, last, replace(ports, alarms=FakeAlarms()))
    stored = ReportDocument.model_validate_json(store.objects[key][1])
    assert sum(minute.requests for minute in stored.traffic.minutes) == 40
    assert not any("Requests and errors" in line for line in stored.not_looked_at)


@pytest.mark.parametrize("failure", [ExternalServiceError("no answer"), CallRefused("denied")])
def test_a_failure_of_cloudwatch_is_named_and_raises_nothing(ports: AllPorts, failure: Exception) -> None:
    alarms = FakeAlarms()
    alarms.traffic = raise_error(failure)  # type: ignore[method-assign]
    evidence = gather_evidence(with_target_group(), replace(ports, alarms=alarms))
    assert evidence.traffic is None
    assert str(failure) in evidence.traffic_remark


def test_a_release_that_nothing_recorded_is_named(ports: AllPorts) -> None:
    evidence = gather_evidence(with_target_group(), ports)
    assert evidence.previous_definition is None
    assert "ECS has no task definition of v1.4.0 any more" in evidence.definitions_remark


def test_a_shared_load_balancers_own_errors_are_not_counted(ports: AllPorts) -> None:
    evidence = gather_evidence(with_target_group(), ports)
    assert evidence.traffic is not None
    assert {minute.balancer_errors for minute in evidence.traffic} == {None}
    assert "are not counted" in evidence.traffic_remark


def test_a_message_links_the_page_and_names_the_command_where_that_fails(ports: AllPorts) -> None:
    assert report_link(succeeded(), ports).startswith("https://")
    assert report_link(succeeded(outcome=None), ports) == COMMAND
    assert report_link(succeeded(), replace(ports, report_store=FakeReportStore())) == COMMAND
    broken = FakeReportStore(is_made=True)
    broken.link = raise_error(ExternalServiceError("no credentials"))  # type: ignore[method-assign]
    assert report_link(succeeded(), replace(ports, report_store=broken)) == COMMAND


def test_a_page_names_the_command_and_other_reports_carry_the_link(ports: AllPorts) -> None:
    send_report(succeeded(), ports)
    send_report(succeeded(outcome=Outcome.FAILED), ports)
    information, page = (sent.message for sent in ports.notifications.sent)  # type: ignore[attr-defined]
    assert "Written account: https://" in information
    assert f"Written account: {COMMAND}" in page
