"""The runbooks: complete against the runbook that they replace, and their quantities against the templates."""

import json
import re
from pathlib import Path

import pytest
from documentation.pages import ROOT, blocks_of
from documentation.shell import read_commands

from publishing.costs import Quantities, count

RUNBOOKS = ROOT / "docs" / "runbooks"
SNAPSHOTS = ROOT / "tests" / "constructs" / "__snapshots__"
TEMPLATE = SNAPSHOTS / "test_templates" / "test_a_template_changes_only_on_purpose[MacroAiProductionRollbackStack].json"
WITH_DATABASE = SNAPSHOTS / "test_database_stack" / "test_its_template_changes_only_on_purpose.json"

# Capability of the former runbook → page, and a pattern of the command that has it now.
CAPABILITIES = {
    "roll a service back": ("service-bad", r"rollback start production service"),
    "to a version": ("service-bad", r"--target-version v1\.2\.3"),
    "full rollback with force": ("service-and-data-bad", r"start production full .*--force"),
    "full rollback to last-stable": ("service-and-data-bad", r"start production full --target-version last-stable"),
    "dry run of an emergency": ("service-bad", r"start feature emergency --dry-run"),
    "assess: the ECS service": ("service-bad", r"aws ecs describe-services"),
    "assess: the log": ("service-bad", r"aws logs tail .*--follow --since 1h"),
    "list versions in ECR": ("service-bad", r"aws ecr describe-images .*imagePushedAt"),
    "watch the deployments": ("troubleshooting", r"services\[0\]\.deployments"),
    "health and status endpoints": ("service-bad", r"curl --fail https://api\.macro-ai\.com/api/status"),
    "emergency with force": ("service-bad", r"start production emergency --force"),
    "scale down to zero": ("escalation-levels", r"update-service .*--desired-count 0"),
    "last known good by hand": ("automation-broken", r"--task-definition macro-ai-production-task-last-known-good"),
    "desired count 2 again": ("escalation-levels", r"last-known-good.*--desired-count 2"),
    "delete a feature branch": ("data-bad", r"--pr 42 --strategy delete"),
    "reset staging": ("data-bad", r"start staging database"),
    "point-in-time restore of production": ("data-bad", r"--to 2026-03-01T02:59:00Z"),
    "restore by Neon's API": ("data-bad", r"/branches/\$NEON_BRANCH/restore"),
    "down-migrations": ("data-bad", r"--strategy down_migrations"),
    "count of tasks": ("service-bad", r"runningCount:runningCount,desiredCount:desiredCount"),
    "target health": ("service-bad", r"aws elbv2 describe-target-health"),
    "the Neon branch answers": ("data-bad", r"curl .*/branches/\$NEON_BRANCH"),
    "SQL answers": ("data-bad", r"psql .*SELECT version"),
    "response time": ("service-bad", r"time_total"),
    "error lines": ("service-bad", r"aws logs filter-log-events"),
    "image not found": ("troubleshooting", r"docker push"),
    "list Neon's branches": ("troubleshooting", r"/branches\?limit="),
    "new connections": ("troubleshooting", r"--force-new-deployment"),
    "events of the service": ("troubleshooting", r"events\[:5\]"),
    "stop and delete the service": ("everything-gone", r"aws ecs delete-service"),
    "deploy from nothing": ("everything-gone", r"cdk deploy MacroAiProductionStack"),
    "restore the ledger": ("everything-gone", r"restore-table-to-point-in-time"),
    "metrics": ("escalation-levels", r"rollback metrics production"),
    "rehearse": ("drills", r"rollback drill staging"),
}


def commands_of(page: Path) -> list[str]:
    return [
        " ".join(command.words)
        for block in blocks_of(page)
        if block.language == "bash"
        for command in read_commands(block.text)
    ]


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_capability_of_the_former_runbook_has_a_command(capability: str) -> None:
    page, pattern = CAPABILITIES[capability]
    commands = commands_of(RUNBOOKS / f"{page}.md")
    assert [command for command in commands if re.search(pattern, command)], commands


def test_every_runbook_is_linked_from_the_index_or_from_a_page_that_is() -> None:
    texts = [path.read_text() for path in RUNBOOKS.glob("*.md")]
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"index.md"}
    assert {page for page in pages if not any(f"]({page}" in text for text in texts)} == set()


def test_the_five_escalation_levels_have_a_section_and_an_actor_each() -> None:
    text = (RUNBOOKS / "escalation-levels.md").read_text()
    assert re.findall(r"^## Level (\d)", text, re.MULTILINE) == list("12345")
    rows = re.findall(r"^\| (\d) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == list("12345")


def quantities(template: Path) -> Quantities:
    return count(json.loads(template.read_text()))


def test_the_quantities_of_the_costs_are_those_of_the_template() -> None:
    text = (RUNBOOKS / "costs.md").read_text()
    plain, database = quantities(TEMPLATE), quantities(WITH_DATABASE)
    assert f"| {plain.metrics} in {plain.alarms} alarms | 0.10 each | {plain.metrics / 10:.2f} |" in text
    assert f"| composite alarms | {plain.composites} | 0.50 each | {plain.composites / 2:.2f} |" in text
    assert f"| dashboard | {plain.dashboards} |" in text
    assert f"| custom metrics that alarms watch, while they are written | {plain.custom_metrics} | 0.30 each |" in text
    assert f"| {plain.scheduled_invocations:,.0f} invocations |" in text
    assert f"{database.metrics} watched metrics in {database.alarms} alarms" in text
    assert (database.functions - plain.functions, database.keys - plain.keys) == (2, 1)


def test_the_total_of_the_costs_is_their_sum() -> None:
    rows = re.findall(r"\| (below )?([\d.]+) \|$", (RUNBOOKS / "costs.md").read_text().partition("**Total**")[0], re.M)
    total = sum(float(amount) for _, amount in rows)
    assert abs(total - 13) < 0.5, total
