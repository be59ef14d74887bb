"""An issue has the brief account and the whole text report; foreign text in it is inert for GitHub."""

import re
from dataclasses import replace

import pytest
from fakes.aws.report_store import FakeReportStore
from faults.scenarios.database_endings import raise_error
from markdown_it import MarkdownIt
from markdown_it.token import Token
from simulations.fake_ports import SETTINGS
from simulations.github_deliveries import BAD, GOOD, Engine, concluded, fake_of, github_ports
from support.builders import NOW, SERVICE, release
from support.hostile_values import TEXTS
from support.reported_rollbacks import document_of, with_data_loss

from rollback.check import Check
from rollback.delivery import issue_report as module
from rollback.delivery.channels import CHANNELS
from rollback.delivery.github.issue import Render, text_report
from rollback.delivery.github.issue_body import cause_marker, is_issue_of, issue_body, rollback_marker
from rollback.delivery.issue_report import issue_report
from rollback.domain.approval.gate import Approval, ApprovedFacts, Decision, DecisionKind
from rollback.domain.delivery.delivery import Channel
from rollback.domain.plan import Plan
from rollback.domain.request import Request
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.all_ports import AllPorts
from rollback.resources.github.issue import BODY_LIMIT
from rollback.stored_report.link import report_key

WEB = SETTINGS.service(SERVICE)
MARKDOWN = {
    "a mention": "@evil/team @evil mail@evil.test",
    "keywords": "fixes #1 closes evil/repo#2 resolves GH-3",
    "links": "[evil](https://evil.test) https://evil.test <https://evil.test> www.evil.test",
    "an image": "![evil](https://evil.test/x.png)",
    "HTML": "<img src=x onerror=evil><details><summary>evil",
    "a comment": "--> evil <!-- rollback-id: other -->",
    "fences": "```\n@evil\n```\n@evil\n~~~\n@evil",
    "backticks": "`@evil` ``@evil`` `",
    "a heading": "\n# @evil\n\n> @evil\n\n- [ ] @evil",
    "a table": "| evil |\n|---|\n| @evil |",
    "a reference": "[x]: https://evil.test\n[x]",
    "a backslash": "\\`@evil\\ \\[x](https://evil.test)",
}
HOSTILE = {**TEXTS, **MARKDOWN}


def hostile(text: str) -> Rollback:
    """Return a rollback with the text wherever text comes from outside."""
    running = release("v2", commit=BAD).model_copy(update={"version": text})
    checks = (Check.failed("a-check", text, evidence={text: text}),)
    plan = Plan(running=running, target=release("v1", commit=GOOD), checks=checks)
    decision = Decision(kind=DecisionKind.REJECTED, by=text, reason=text, at=NOW)
    facts = ApprovedFacts(type="service", running="a" * 64)
    gate = Approval(
        requested_at=NOW, expires_at=NOW, reasons=(text,), nonce="n", approved_facts=facts, decision=decision
    )
    return concluded(
        Outcome.FAILED,
        plan=plan,
        event=TriggerEvent(id="e1", at=NOW, alarm=text, reason=text),
        request=Request.model_construct(service=SERVICE, reason=text, requested_by=text),
        approval=gate,
        reason=text,
    )


def body_of(document: Rollback) -> str:
    return issue_body(document, issue_report(document, WEB, github_ports()), "")


def tokens(markdown: str) -> list[Token]:
    flat = []
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown):
        flat.append(token)
        flat += token.children or []
    return flat


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_foreign_text_mentions_links_closes_and_draws_nothing(text: str) -> None:
    body = body_of(hostile(text))
    parsed = tokens(body)
    html = [line for token in parsed if "html" in token.type for line in token.content.strip().split("\n")]
    assert html == [rollback_marker(concluded().id), cause_marker(hostile(text))]
    assert {token.type for token in parsed} & {"link_open", "image", "s_open", "em_open", "code_block"} == set()
    shown = "\n".join(token.content for token in parsed if token.type == "text")
    assert not re.search(r"@\w|://|\bwww\.|#\d|\bGH-\d", shown, re.IGNORECASE)
    assert len(body.encode("utf-16-le")) // 2 <= BODY_LIMIT


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_forges_the_marker_of_another_rollback(text: str) -> None:
    document = hostile(f"{rollback_marker('other')}\n{text}")
    assert is_issue_of(body_of(document), document.id)
    assert not is_issue_of(body_of(document), "other")


def test_the_issue_channel_of_the_product_shows_the_account_and_the_whole_text_report() -> None:
    ports = github_ports()
    channel = next(channel for channel in CHANNELS if channel.name is Channel.ISSUE)
    Engine(channel, ports).attempt(concluded())
    body = fake_of(ports).stored[1].issue.body
    assert "## Timeline" in body
    assert "\n".join(text_report(concluded(), WEB, ports).splitlines()[1:-1]) in body
    assert body.index("## Timeline") < body.index("## Report")


def test_an_issue_has_no_link_that_ends_and_no_evidence_of_checks() -> None:
    plan = Plan(
        running=release("v2", commit=BAD),
        target=release("v1", commit=GOOD),
        checks=(Check.failed("a-check", "no", evidence={"log": "hunter2"}),),
    )
    ports = replace(github_ports(), report_store=FakeReportStore(is_made=True))
    report = issue_report(concluded(Outcome.FAILED, plan=plan), WEB, ports)
    assert "X-Amz" not in report
    assert "hunter2" not in report


def with_stored_traffic() -> AllPorts:
    store = FakeReportStore(is_made=True)
    store.put(report_key(concluded(), "json"), "application/json", document_of("succeeded").model_dump_json())
    return replace(github_ports(), report_store=store)


def test_the_traffic_of_the_stored_account_is_shown_and_nothing_is_measured_again() -> None:
    report = issue_report(concluded(), WEB, with_stored_traffic())
    assert "2,520 of 6,585 requests failed" in report


@pytest.mark.parametrize("failure", [ExternalServiceError("no answer"), CallRefused("denied")])
def test_without_the_stored_account_the_traffic_is_not_measured(failure: Exception) -> None:
    ports = with_stored_traffic()
    ports.report_store.read = raise_error(failure)  # type: ignore[method-assign]
    report = issue_report(concluded(), WEB, ports)
    assert "not measured: this environment has no stored report" in report
    assert "## Timeline" in report


def test_an_account_that_cannot_be_rendered_leaves_the_text_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "render_markdown", raise_error(ZeroDivisionError("a defect")))
    ports = github_ports()
    assert issue_report(concluded(), WEB, ports) == text_report(concluded(), WEB, ports)


@pytest.mark.parametrize("render", [text_report, issue_report])
def test_an_issue_counts_lost_rows_and_names_no_keys_of_them(render: Render) -> None:
    lost = with_data_loss()
    assert lost.database is not None
    assert lost.database.data_loss is not None
    (table,) = lost.database.data_loss.tables
    keyed = table.model_copy(update={"removed_keys": ("key-4711",), "changed_keys": ("key-4712",), "changed_rows": 1})
    report = lost.database.data_loss.evolve(tables=(keyed,))
    document = lost.evolve(database=lost.database.evolve(data_loss=report))
    text = render(document, WEB, github_ports())
    assert "gone: 3" in text
    assert "key-47" not in text
