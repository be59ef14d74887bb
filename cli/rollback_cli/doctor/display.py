"""Print findings: a line of verdict, check and sight, and a line of what to do. Plain text, so that `grep` reads it."""

from collections.abc import Iterable

from rich.console import Console

from rollback.check import Verdict
from rollback_cli.doctor.finding import Finding, count_verdicts, is_healthy
from rollback_cli.terminal_text import escape_markup

_STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.SKIPPED: "magenta"}
_WORDS = {Verdict.SKIPPED: "not seen"}


def print_findings(findings: Iterable[Finding], console: Console) -> None:
    """Print each finding under the name of its group, and a summary at the end."""
    listed, group = list(findings), None
    for finding in listed:
        if finding.group is not group:
            group = finding.group
            console.print(f"[bold]{group}[/]", soft_wrap=True)
        word, style = _WORDS.get(finding.verdict, str(finding.verdict)), _STYLES[finding.verdict]
        text = escape_markup(f"{finding.check}: {finding.seen}")
        console.print(f"  [{style}]{word:8}[/] {text}", soft_wrap=True)
        if finding.to_do and finding.verdict is not Verdict.PASS:
            console.print(f"           to do: {escape_markup(finding.to_do)}", soft_wrap=True)
    console.print(f"[bold]{escape_markup(summary(listed))}[/]", soft_wrap=True)


def summary(findings: Iterable[Finding]) -> str:
    """Say in one sentence whether the environment would roll back."""
    counts = count_verdicts(findings)
    parts = f"{counts[Verdict.PASS]} passed, {counts[Verdict.WARN]} warnings, {counts[Verdict.FAIL]} failed"
    unseen = counts[Verdict.SKIPPED]
    return f"{parts}, {unseen} not looked at" + ("" if is_healthy(counts) else ": a rollback may not work")
