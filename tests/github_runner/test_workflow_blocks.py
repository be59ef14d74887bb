"""Blocks of the workflows, run with a recorder in place of the command: its words, and the page of the job."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from github_runner.runner import ROOT, JobResult, Runner, StandIn

_RECORDER = f"""#!{sys.executable}
import json, os, sys
name = os.path.basename(sys.argv[0])
with open(os.environ["RECORDER_FILE"], "a") as file:
    file.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
plan = json.loads(os.environ["ANSWERS"]).get(sys.argv[1] if name == "rollback" else name, {{}})
if "id" in plan:
    with open(os.environ["GITHUB_OUTPUT"], "a") as file:
        file.write(f"rollback-id={{plan['id']}}\\noutcome={{plan['outcome']}}\\n")
print(plan.get("says", ""))
print(plan.get("complains", ""), file=sys.stderr)
sys.exit(plan.get("code", 0))
"""
HOSTILE = 'it\'s "done"; $(touch owned) `touch owned` ${{ github.token }} && touch owned'


@dataclass
class Page:
    """A machine whose command records its words.

    Attributes:
        answers: what a verb does: exit code, text, id and outcome of a rollback.
    """

    folder: Path
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, name: str, trigger: str = "workflow_dispatch", **inputs: Any) -> JobResult:
        links = self.folder / "rollback-bin"
        links.mkdir(exist_ok=True)
        for command in ("rollback", "rollback-deploy-image"):
            (links / command).write_text(_RECORDER)
            (links / command).chmod(0o755)
        base = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.folder), "RECORDER_FILE": str(self.folder / "recorded"),
            "ANSWERS": json.dumps(self.answers),
        }  # fmt: skip
        stand_ins = {
            "actions/checkout": lambda _: StandIn(),
            "actions/setup-python": lambda _: StandIn({"python-path": "/no/python/is/needed"}),
            "aws-actions/configure-aws-credentials": lambda _: StandIn(),
        }
        runner = Runner(self.folder, self.folder, stand_ins, {"AWS_REGION": "eu-west-1", **self.variables}, base=base)
        given = {key.replace("_", "-"): value for key, value in inputs.items()}
        (job,) = runner.run(ROOT / ".github" / "workflows" / f"{name}.yml", trigger, given).values()
        return job

    @property
    def words(self) -> list[list[str]]:
        """Every call of a command so far."""
        file = self.folder / "recorded"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


def test_a_deployment_goes_through_every_step_in_order(page: Page) -> None:
    job = page.run(
        "deploy", "workflow_call", environment="production", image="r/shop:v2", version="v2", service="api",
        migrations="drizzle", migrate_command='echo "$VERSION" > migrated',
    )  # fmt: skip
    assert job.conclusion == "success", job.log
    assert page.words == [
        ["rollback", "check-deploy", "production", "--image", "r/shop:v2", "--service", "api"],
        ["rollback", "checkpoint", "production", "--version", "v2", "--migrations", "drizzle", "--service", "api"],
        ["rollback-deploy-image", "production", "--image", "r/shop:v2", "--version", "v2", "--service", "api"],
        ["rollback", "verify", "production", "--wait", "--rollback-on-failure", "--service", "api"],
    ]
    assert (page.folder / "migrated").read_text() == "v2\n"
    assert "| migrate | success |" in job.summary


def test_without_migrations_neither_checkpoint_nor_migration_runs(page: Page) -> None:
    job = page.run("deploy", environment="production", image="r/shop:v2", version="v2")
    assert job.conclusion == "success", job.log
    assert [call[1] for call in page.words if call[0] == "rollback"] == ["check-deploy", "verify"]
    assert "| checkpoint | skipped |" in job.summary


@pytest.mark.parametrize(
    ("failing", "last"), [("check-deploy", "check-deploy"), ("checkpoint", "checkpoint"), ("rollback-deploy-image", "")]
)
def test_a_deployment_stops_at_the_first_failure(page: Page, failing: str, last: str) -> None:
    page.answers = {failing: {"code": 1}}
    page.variables = {"MIGRATE_COMMAND": "touch migrated"}
    job = page.run("deploy", environment="production", image="r/shop:v2", version="v2", migrations="drizzle")
    assert job.conclusion == "failure"
    assert page.words[-1][:2] == (["rollback", last] if last else ["rollback-deploy-image", "production"])
    assert (page.folder / "migrated").exists() is (failing == "rollback-deploy-image")
    assert f"| {last or 'deploy'} | failure |" in job.summary
    assert "| verify | skipped |" in job.summary


def test_a_migration_that_fails_deploys_nothing(page: Page) -> None:
    page.variables = {"MIGRATE_COMMAND": "false | true"}
    job = page.run("deploy", environment="production", image="r/shop:v2", version="v2")
    assert job.conclusion == "failure"
    assert [call[0] for call in page.words] == ["rollback", "rollback"]
    assert "| migrate | failure |" in job.summary


def test_the_teams_own_command_deploys_with_the_image_in_a_variable(page: Page) -> None:
    page.variables = {"DEPLOY_COMMAND": 'echo "$ENVIRONMENT $IMAGE $VERSION" > deployed'}
    assert page.run("deploy", environment="production", image="r/shop:v2", version="v2").conclusion == "success"
    assert (page.folder / "deployed").read_text() == "production r/shop:v2 v2\n"
    assert "rollback-deploy-image" not in [call[0] for call in page.words]


def test_a_failed_check_shows_the_report_of_its_rollback(page: Page) -> None:
    page.answers = {
        "verify": {"code": 1, "id": "api-1", "outcome": "succeeded"},
        "report": {"says": "# The written account"},
    }
    job = page.run("deploy", environment="production", image="r/shop:v2", version="v2")
    assert job.conclusion == "failure"
    assert job.outputs == {"rollback-id": "api-1", "outcome": "succeeded"}
    assert page.words[-1] == ["rollback", "report", "production", "api-1", "--markdown"]
    assert "# The written account" in job.summary


def test_a_rollback_gets_every_input_as_one_word(page: Page) -> None:
    page.answers = {"start": {"id": "api-1", "outcome": "succeeded"}, "report": {"says": "# The written account"}}
    job = page.run(
        "rollback", environment="production", type="full", service="api", version="v1.2.3", dry_run=False, force=True,
        reason="orders fail",
    )  # fmt: skip
    assert job.conclusion == "success", job.log
    assert page.words == [
        ["rollback", "start", "production", "--type", "full", "--reason", "orders fail", "--yes", "--service", "api",
         "--target-version", "v1.2.3", "--force"],
        ["rollback", "report", "production", "api-1", "--markdown"],
    ]  # fmt: skip
    assert job.outputs == {"rollback-id": "api-1", "outcome": "succeeded"}
    assert "# The written account" in job.summary


def test_a_rollback_is_a_dry_run_unless_that_is_switched_off(page: Page) -> None:
    page.run("rollback", environment="production", reason="a look")
    assert "--dry-run" in page.words[0]
    assert "--force" not in page.words[0]


def test_a_rollback_that_was_not_recorded_points_to_the_log(page: Page) -> None:
    page.answers = {"start": {"code": 2, "complains": "error: no release v9 in the ledger"}}
    job = page.run("rollback", environment="production", reason="a typo")
    assert job.conclusion == "failure"
    assert "    error: no release v9 in the ledger\n" in job.summary
    assert "error: no release v9 in the ledger" in job.log
    assert len(page.words) == 1
    assert 'The log of the step "Roll back and wait" says why' in job.summary


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("rollback", {"environment": "production", "reason": HOSTILE, "version": HOSTILE, "service": HOSTILE}),
        ("deploy", {"environment": HOSTILE, "image": HOSTILE, "version": HOSTILE, "service": HOSTILE,
                    "migrations": HOSTILE}),
        ("approve", {"environment": HOSTILE, "rollback_id": HOSTILE, "decision": "reject", "reason": HOSTILE}),
        ("drill", {"environment": HOSTILE, "service": HOSTILE}),
    ],
)  # fmt: skip
def test_hostile_inputs_are_words_and_no_code(page: Page, name: str, inputs: dict[str, Any]) -> None:
    page.answers = {verb: {"id": "api-1", "outcome": "x"} for verb in ("start", "verify", "drill")}
    job = page.run(name, **inputs)
    assert job.conclusion == "success", job.log
    assert not (page.folder / "owned").exists()
    assert any(HOSTILE in call for call in page.words)
    given = {value for value in inputs.values() if value == HOSTILE}
    for call in page.words:
        assert given >= {word for word in call if "owned" in word}, "a word was split or evaluated"


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_decision_is_sent_and_the_report_shown(page: Page, decision: str) -> None:
    page.answers = {"report": {"says": "# The written account"}}
    job = page.run("approve", environment="production", rollback_id="api-1", decision=decision, reason="I agree")
    assert page.words[0] == ["rollback", decision, "production", "api-1", "--reason", "I agree"]
    assert "# The written account" in job.summary
    assert job.environment == "production-approval"


def test_a_decision_by_another_word_is_refused_by_the_called_workflow(page: Page) -> None:
    job = page.run(
        "approve", "workflow_call", environment="production", rollback_id="api-1", decision="abort", reason="no"
    )
    assert job.conclusion == "failure"
    assert "allowed is approve or reject; nothing was decided" in job.log
    assert [call[1] for call in page.words] == ["report"]


def test_the_schedule_does_nothing_until_a_variable_names_an_environment(page: Page) -> None:
    assert page.run("drill", "schedule").conclusion == "skipped"
    assert page.words == []
    page.variables = {"DRILL_ENVIRONMENT": "staging"}
    page.answers = {"drill": {"id": "api-1", "outcome": "succeeded"}}
    job = page.run("drill", "schedule")
    assert job.conclusion == "success", job.log
    assert job.environment == "staging"
    assert page.words[0] == [
        "rollback", "drill", "staging", "--scenario", "service", "--reason", "drill of GitHub Actions",
    ]  # fmt: skip


def test_a_long_report_is_cut_to_what_a_summary_takes(page: Page) -> None:
    page.answers = {"start": {"id": "api-1", "outcome": "succeeded"}, "report": {"says": "x" * 100_000}}
    assert len(page.run("rollback", environment="production", reason="a look").summary) == 100_001
    block = (ROOT / ".github" / "workflows" / "rollback.yml").read_text()
    assert "head -c 900000" in block
