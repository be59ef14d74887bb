"""Text from outside stays text in an issue: rendered, it stands in code and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from simulations.fake_ports import SETTINGS
from simulations.github_deliveries import BAD, EXECUTION, GOOD, concluded, github_ports, planned
from support.builders import NOW, SERVICE, release
from support.hostile_values import TEXTS

from rollback.check import Check
from rollback.delivery.github.issue import text_report
from rollback.delivery.github.issue_body import (
    cause_marker,
    code,
    comment_body,
    cut_markdown,
    fenced,
    is_issue_of,
    is_of_cause,
    issue_body,
    issue_title,
    rollback_marker,
)
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent
from rollback.reports.execution_link import execution_link
from rollback.resources.github.issue import BODY_LIMIT, TITLE_LIMIT

CANARY = "evil"
MARKDOWN = {
    "a mention": f"@{CANARY}/team @{CANARY}",
    "a keyword": f"fixes #1 closes {CANARY}/repo#2 resolves GH-3",
    "a link": f"[{CANARY}](https://evil.test) https://evil.test <https://evil.test>",
    "an image": f"![{CANARY}](https://evil.test/x.png)",
    "HTML": f"<img src=x onerror={CANARY}><details><summary>{CANARY}",
    "a comment": f"--> {CANARY} <!-- rollback-id: other -->",
    "a fence": f"```\n@{CANARY}\n```\n@{CANARY}",
    "a long fence": f"``````\n@{CANARY}\n``````````\n@{CANARY}",
    "another fence": f"~~~\n@{CANARY}\n~~~",
    "backticks": f"`{CANARY}` ``{CANARY}`` `",
    "a backtick at the end": f"{CANARY} @{CANARY} `",
    "a heading": f"\n# {CANARY}\n\n> {CANARY}\n\n- [ ] {CANARY}",
    "a table": f"| {CANARY} |\n|---|\n| @{CANARY} |",
    "a reference": f"[x]: https://{CANARY}.test\n[x]",
    "a footnote": f"[^1]\n\n[^1]: {CANARY}",
    "a backslash": f"\\`@{CANARY}\\",
    "carriage returns": f"```\r\r\n@{CANARY}\r```\r@{CANARY}",
}
HOSTILE = {**TEXTS, **MARKDOWN}


def hostile(text: str) -> Rollback:
    """Return a rollback with the text wherever text comes from outside."""
    running = release("v2", commit=BAD).model_copy(update={"version": text})
    checks = (Check.warned("a-check", text),)
    plan = Plan(running=running, target=release("v1", commit=GOOD), checks=checks)
    event = TriggerEvent(id="e1", at=NOW, alarm=text, reason=text)
    return concluded(Outcome.FAILED, plan=plan, event=event, reason=text, admission=checks)


def body_of(document: Rollback) -> str:
    report = text_report(document, SETTINGS.service(SERVICE), github_ports())
    return issue_body(document, report, execution_link(document.execution))


def tokens(markdown: str) -> list[Token]:
    """Parse as GitHub does: CommonMark with tables, strikethrough and links of bare URLs."""
    flat = []
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown):
        flat.append(token)
        flat += token.children or []
    return flat


def outside_code(markdown: str) -> str:
    """Return all text that GitHub would render as something else than code."""
    in_code = {"fence", "code_block", "code_inline", "inline"}
    shown = [token for token in tokens(markdown) if token.type not in in_code]
    return "\n".join(f"{token.content} {token.attrs}" for token in shown)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_foreign_text_stands_in_code_and_nowhere_else(text: str) -> None:
    body = body_of(hostile(text))
    outside = outside_code(body)
    assert CANARY not in outside
    assert "@" not in outside
    assert len(body) <= BODY_LIMIT
    own_html = [rollback_marker(concluded().id), cause_marker(hostile(text))]
    html = [line for token in tokens(body) if "html" in token.type for line in token.content.strip().split("\n")]
    assert html == own_html
    links = [token.attrs.get("href") for token in tokens(body) if token.type == "link_open"]
    assert len(links) == 1
    assert str(links[0]).startswith("https://console.aws.amazon.com/")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_foreign_text_in_a_comment_stands_in_code_and_nowhere_else(text: str) -> None:
    outside = outside_code(comment_body(hostile(text)))
    assert CANARY not in outside
    assert "@" not in outside


@given(text=st.text(alphabet="`~ab@#\n\\<[]()!- ", max_size=60))
def test_no_text_leaves_its_code_block(text: str) -> None:
    (block,) = tokens(fenced(text))
    assert block.type == "fence"
    assert block.content == f"{text}\n"


@given(text=st.text(alphabet="`ab@#\\<[]()! ", max_size=40))
def test_no_text_leaves_its_inline_code(text: str) -> None:
    parsed = [token for token in tokens(f"before {code(text)} after") if token.type not in {"inline"}]
    inside = [token for token in parsed if token.type == "code_inline"]
    texts = [token.content for token in parsed if token.type == "text"]
    assert texts == ["before ", " after"]
    assert [token.content.strip() for token in inside] == [text.strip()]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_forges_the_marker_of_another_rollback(text: str) -> None:
    document = hostile(f"{rollback_marker('other')}\n{text}")
    assert is_issue_of(body_of(document), document.id)
    assert not is_issue_of(body_of(document), "other")


def test_a_marker_below_the_first_line_is_no_marker() -> None:
    body = f"text\n{rollback_marker('web-1')}\n"
    assert not is_issue_of(body, "web-1")
    assert is_issue_of(f"{rollback_marker('web-1')}\r\n{cause_marker(concluded())}\r\n", "web-1")


def test_the_cause_is_the_same_for_the_same_alarm_of_the_same_service_only() -> None:
    event = TriggerEvent(id="e1", at=NOW, alarm="a")
    marker = cause_marker(concluded(event=event))
    body = body_of(concluded(event=event))
    assert is_of_cause(body, marker)
    assert cause_marker(planned(event=event, id="another")) == marker
    others = [
        concluded(event=event.model_copy(update={"alarm": "b"})),
        concluded(event=event, environment="staging"),
        concluded(event=None),
    ]
    assert not any(is_of_cause(body, cause_marker(other)) for other in others)


def test_the_commit_links_itself_and_an_unknown_one_is_said_to_be_unknown() -> None:
    assert f"- Commit: {BAD}\n" in body_of(concluded())
    assert "- Commit: not known\n" in body_of(hostile("v2").evolve(plan=hostile_commit("@evil")))


def hostile_commit(commit: str) -> Plan:
    running = release("v2").model_copy(update={"commit": commit})
    return Plan(running=running, target=release("v1"), checks=())


def test_a_running_rollback_shows_no_report_yet() -> None:
    assert "**under way**" in issue_body(planned(), "", execution_link(EXECUTION))


@pytest.mark.parametrize("character", ["x", "é", "🔥"])
def test_a_long_report_is_cut_at_a_line_and_says_so(character: str) -> None:
    report = fenced("\n".join(character * 100 for _ in range(2_000)))
    body = issue_body(concluded(), report, "")
    assert len(body.encode("utf-16-le")) // 2 <= BODY_LIMIT
    assert len(body.encode("utf-16-le")) // 2 > BODY_LIMIT - 1_000
    assert f"`rollback show production {concluded().id}` shows the rest" in body
    assert "The report has" in outside_code(body), "the note does not stand in the code block"


def test_a_report_of_one_line_that_is_too_long_is_left_out_and_says_so() -> None:
    assert "of which 0 fit here" in cut_markdown("x" * 70_000, BODY_LIMIT, concluded())


def test_a_report_that_fits_is_not_cut() -> None:
    assert cut_markdown("x" * 100, 100, concluded()) == "x" * 100


def test_a_title_has_names_of_the_settings_only_and_fits() -> None:
    title = issue_title(hostile(f"@{CANARY}" * 100))
    assert title == f"[production] Rollback of {SERVICE}: failed"
    assert len(issue_title(concluded(environment="e" * 400))) <= TITLE_LIMIT


ARN = "arn:{partition}:states:eu-west-1:123456789012:execution:m:one"


@pytest.mark.parametrize(
    ("execution", "host"),
    [
        (ARN.format(partition="aws"), "console.aws.amazon.com"),
        (ARN.format(partition="aws-cn"), "console.amazonaws.cn"),
        (ARN.format(partition="aws-us-gov"), "console.amazonaws-us-gov.com"),
        (ARN.format(partition="aws-eusc"), "console.amazonaws-eusc.eu"),
    ],
)
def test_an_execution_has_a_page_in_the_console_of_its_partition(execution: str, host: str) -> None:
    link = execution_link(execution)
    assert link == f"https://{host}/states/home?region=eu-west-1#/v2/executions/details/{execution}"


@pytest.mark.parametrize(
    "execution",
    ["", "direct:ada", "arn:aws:states:x", ARN.format(partition="other"), ARN.format(partition="aws") + "> @evil"],
)
def test_what_is_no_execution_has_no_page(execution: str) -> None:
    assert execution_link(execution) == ""
