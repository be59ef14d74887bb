"""The written account states the facts of the rollback, and says what was not looked at."""

from datetime import timedelta

import pytest
from support.builders import NOW
from support.reported_rollbacks import CASES, SECRET_VALUE, document_of, refused, succeeded
from syrupy.assertion import SnapshotAssertion

from rollback.domain.settings.environment import ServiceSettings
from rollback.rendering.html import render_html
from rollback.rendering.markdown import render_markdown
from rollback.reports.document.build import NOT_LOOKED_AT, build_document
from rollback.reports.document.model import Evidence, ReportDocument
from rollback.reports.document.traffic import incident_began_at
from rollback.verification.checks import evidence_keys

WEB = ServiceSettings(name="express-api", cluster="c", ecs_service="s", container="api")


@pytest.mark.parametrize("case", CASES)
def test_the_markdown_of_each_outcome_is_as_reviewed(case: str, snapshot: SnapshotAssertion) -> None:
    assert render_markdown(document_of(case)) == snapshot


@pytest.mark.parametrize("case", CASES)
def test_the_page_of_each_outcome_is_as_reviewed(case: str, snapshot: SnapshotAssertion) -> None:
    _, _, body = render_html(document_of(case)).partition("<body>")
    assert body == snapshot


@pytest.mark.parametrize("case", CASES)
def test_the_stored_account_renders_to_the_same_page(case: str) -> None:
    document = document_of(case)
    assert render_html(ReportDocument.model_validate_json(document.model_dump_json())) == render_html(document)


@pytest.mark.parametrize("case", CASES)
def test_no_form_of_the_account_has_the_value_of_a_variable(case: str) -> None:
    document = document_of(case)
    for form in (document.model_dump_json(), render_html(document), render_markdown(document)):
        assert SECRET_VALUE not in form


def test_a_variable_is_named_and_a_secret_is_shown_by_reference() -> None:
    differences = {row.what: row for row in document_of("succeeded").differences}
    assert differences["variable API_PASSWORD"].change == "removed"
    assert differences["variable API_PASSWORD"].before == ""
    assert differences["secret DB"].before == "arn:aws:ssm:eu-west-1:1:parameter/b"
    assert (differences["cpu"].before, differences["cpu"].after) == ("512", "256")


def test_missing_evidence_is_named_and_is_no_zero() -> None:
    document = build_document(succeeded(), WEB, Evidence())
    users = next(fact for fact in document.summary.facts if fact.label == "Users affected")
    assert users.text == "not measured: the load balancer's metrics were not asked for"
    assert "Difference of the task definitions: the task definitions were not asked for" in document.not_looked_at


def test_a_rollback_without_a_plan_says_that_the_release_was_not_looked_at() -> None:
    document = build_document(refused().evolve(plan=None), WEB, Evidence())
    runs = next(fact for fact in document.summary.facts if fact.label == "Runs now")
    assert runs.text == "not looked at: the rollback ended before its plan"


def test_a_refused_rollback_says_that_the_release_is_unchanged() -> None:
    facts = {fact.label: fact.text for fact in document_of("refused").summary.facts}
    assert facts["Runs now"] == "v1.4.0, unchanged"


def test_the_requests_of_the_incident_are_counted_from_the_bad_release_to_the_recovery() -> None:
    during = document_of("succeeded").traffic.period("during")
    assert during is not None
    assert during.since == incident_began_at(succeeded())
    assert during.failed == sum(100 + 8 * number + 12 for number in range(15))


def test_a_release_of_long_ago_is_not_the_begin_of_the_incident() -> None:
    document = succeeded()
    assert document.plan is not None
    assert document.event is not None
    running = document.plan.running.model_copy(update={"first_deployed_at": NOW - timedelta(days=3)})
    old = document.evolve(plan=document.plan.model_copy(update={"running": running}))
    assert incident_began_at(old) == document.event.at


def test_the_brief_markdown_leaves_the_evidence_out() -> None:
    brief = render_markdown(document_of("succeeded"), is_brief=True)
    assert "## Timeline" in brief
    assert "## Plan and checks" not in brief


def titles_and_details(case: str) -> dict[str, str]:
    return {event.title: event.detail for event in document_of(case).events}


def test_the_timeline_names_who_asked_for_an_approval_and_who_decided_why() -> None:
    events = titles_and_details("approved")
    assert events["The rollback started"].endswith("/ada")
    assert "breaking or unknown schema" in events["An approval was requested"]
    decision = events["A person approved the rollback"]
    assert "arn:aws:sts::123456789012:assumed-role/OnCall/ben" in decision
    assert "the plan loses only rows of v1.4.0" in decision
    assert "The plan was made again, with the approved facts" in events


def test_a_rejection_is_named_with_its_person_and_reason() -> None:
    events = titles_and_details("rejected")
    assert "unverified: maria@example.com" in events["A person rejected the rollback"]
    assert "the payment provider is down" in events["A person rejected the rollback"]


def test_a_waiting_rollback_says_for_whom_it_waits_and_that_its_request_was_not_sent() -> None:
    document = document_of("waiting")
    assert document.summary.headline == "The rollback of the database of express-api waits for an approval"
    approval = next(fact.text for fact in document.summary.facts if fact.label == "Approval")
    assert "started by unverified: ada; the request could not be sent" in approval


def test_the_plan_has_the_facts_that_a_person_approved() -> None:
    facts = next(fact.text for fact in document_of("approved").request if fact.label == "Facts to approve")
    assert "restore of branch br-1" in facts
    assert "restore point: 0/1A2B3C4 at 02:44:50" in facts


def test_a_health_check_is_no_alarm_and_no_failed_deployment() -> None:
    document = document_of("health check")
    assert document.summary.what_happened.startswith("A health check by github-actions run 812 failed at")
    assert "A pipeline's health check of the deployment failed" in titles_and_details("health check")


def test_the_smoke_command_stands_in_the_timeline_and_a_check_without_an_answer_is_not_looked_at() -> None:
    assert "The smoke command ended with exit code 0" in titles_and_details("health check")
    assert "Check database-version-is-recorded: psql is down" in document_of("health check").not_looked_at
    assert NOT_LOOKED_AT == evidence_keys.NOT_LOOKED_AT


def test_a_drill_is_called_a_drill_and_is_no_incident() -> None:
    document = document_of("drill")
    assert document.summary.headline == "Drill: a rollback of express-api was rehearsed by a restart of v1.4.0"
    assert incident_began_at(CASES["drill"][0]) == CASES["drill"][0].created_at
    assert {"The drill started", "The drill ended: succeeded"} <= titles_and_details("drill").keys()


def test_the_reason_of_a_composite_alarm_names_its_children_without_their_arns() -> None:
    reason = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:error-rate transitioned to ALARM at Friday"
    document = succeeded()
    assert document.event is not None
    changed = document.evolve(event=document.event.model_copy(update={"reason": reason}))
    alarm = next(event for event in build_document(changed, WEB, Evidence()).events if event.kind == "alarm")
    assert alarm.detail == "error-rate transitioned to ALARM at Friday"
