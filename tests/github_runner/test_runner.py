"""The runner carries out workflows as GitHub's runner does: order, conditions, files, and composite actions."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from github_runner.runner import JobResult, Runner, StandIn
from github_runner.workflow_file import UnreadableWorkflow, Workflow

_HEAD = """
on:
  workflow_dispatch:
    inputs:
      name: {type: string, default: nobody}
      kind: {type: choice, options: [a, b], default: a}
      dry: {type: boolean, default: true}
      must: {type: string, required: true}
defaults: {run: {shell: bash}}
jobs:
  job:
    runs-on: ubuntu-24.04
    environment: ${{ inputs.name }}-approval
    env: {NAME: "${{ inputs.name }}", PLACE: job}
    outputs: {word: "${{ steps.speak.outputs.word }}"}
    steps:
"""
Run = Callable[..., JobResult]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Function that runs the steps of a job."""

    def run_steps(steps: str, foreign: Mapping[str, Any] | None = None, **inputs: object) -> JobResult:
        path = tmp_path / "workflow.yml"
        path.write_text(_HEAD + indent(dedent(steps), "      "))
        runner = Runner(tmp_path, tmp_path, foreign or {})
        return runner.run(path, "workflow_dispatch", {"must": "x", **inputs})["job"]

    return run_steps


def test_a_block_gets_the_environment_and_its_outputs_reach_later_steps_and_the_job(run: Run) -> None:
    result = run(
        """
        - id: speak
          env: {OWN: "${{ inputs.kind }}"}
          run: echo "word=$NAME-$OWN-$GITHUB_ACTOR" >> "$GITHUB_OUTPUT"
        - run: echo "heard ${{ steps.speak.outputs.word }}"
        """,
        name="bob",
    )
    assert result.conclusion == "success", result.log
    assert result.outputs == {"word": "bob-a-alice"}
    assert "heard bob-a-alice" in result.log
    assert result.environment == "bob-approval"


def test_files_of_a_step_act_on_the_later_steps_only(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "greet").write_text("#!/bin/sh\necho greeted\n")
    (tmp_path / "bin" / "greet").chmod(0o755)
    result = run(
        """
        - run: |
            echo "PLACE=file" >> "$GITHUB_ENV"
            printf 'LINES<<END\\none\\ntwo\\nEND\\n' >> "$GITHUB_ENV"
            echo "$GITHUB_WORKSPACE/bin" >> "$GITHUB_PATH"
            echo "own place: $PLACE"
        - run: |
            greet
            echo "place is $PLACE, $LINES" >> "$GITHUB_STEP_SUMMARY"
        - env: {PLACE: step}
          run: echo "last place $PLACE" >> "$GITHUB_STEP_SUMMARY"
        """
    )
    assert result.conclusion == "success", result.log
    assert "own place: job" in result.log
    assert "greeted" in result.log
    assert result.summary == "place is file, one\ntwo\nlast place step\n"


def test_after_a_failure_only_steps_that_ask_for_it_run(run: Run) -> None:
    result = run(
        """
        - {id: first, run: "false | true"}
        - {run: echo skipped}
        - {if: failure(), run: echo after-failure}
        - {if: "always() && steps.first.outcome == 'failure'", run: echo always}
        """
    )
    assert result.conclusion == "failure"
    assert [step.outcome for step in result.steps] == ["failure", "skipped", "success", "success"]


def test_a_step_that_may_fail_leaves_the_job_green(run: Run) -> None:
    result = run(
        """
        - {id: first, continue-on-error: true, run: exit 3}
        - {if: steps.first.outcome == 'failure' && steps.first.conclusion == 'success', run: echo seen}
        """
    )
    assert result.conclusion == "success"
    assert [step.outcome for step in result.steps] == ["failure", "success"]


def test_a_foreign_action_needs_a_stand_in_which_gets_its_inputs(run: Run) -> None:
    steps = """
        - {id: speak, uses: "a/b@v1", with: {who: "${{ inputs.name }}"}}
        - {run: 'echo "$TOKEN"'}
        """
    with pytest.raises(UnreadableWorkflow, match="nothing stands in for the action a/b"):
        run(steps)
    result = run(steps, {"a/b": lambda given: StandIn({"word": given["who"]}, {"TOKEN": "from-action"})})
    assert result.outputs == {"word": "nobody"}
    assert "from-action" in result.log


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"other": "a"}, "no input other"),
        ({"kind": "c"}, "'c'; allowed: a, b"),
        ({"dry": "true"}, "allowed is true or false"),
        ({"must": None}, None),
    ],
)
def test_inputs_are_checked_as_github_checks_them(run: Run, inputs: dict[str, Any], problem: str | None) -> None:
    if problem is None:
        assert run("- {run: 'true'}", **inputs).conclusion == "success"
    else:
        with pytest.raises(UnreadableWorkflow, match=problem):
            run("- {run: 'true'}", **inputs)


def test_a_required_input_and_the_trigger_are_demanded(tmp_path: Path) -> None:
    path = tmp_path / "workflow.yml"
    path.write_text(_HEAD + "      - {run: 'true'}\n")
    runner = Runner(tmp_path, tmp_path, {})
    with pytest.raises(UnreadableWorkflow, match="must is required"):
        runner.run(path, "workflow_dispatch")
    with pytest.raises(UnreadableWorkflow, match="not started by schedule"):
        runner.run(path, "schedule")


def test_members_that_the_runner_would_leave_out_are_errors(run: Run) -> None:
    with pytest.raises(UnreadableWorkflow, match="working-directory"):
        run("- {run: 'true', working-directory: a}")


def test_a_job_waits_for_its_needs_and_is_skipped_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "workflow.yml"
    path.write_text(
        dedent(
            """
            on: push
            jobs:
              first: {runs-on: x, steps: [{run: "exit 1"}]}
              second: {runs-on: x, needs: first, steps: [{run: "true"}]}
              third:
                runs-on: x
                needs: [first]
                if: always() && needs.first.result == 'failure'
                steps: [{run: "true"}]
            """
        )
    )
    results = Runner(tmp_path, tmp_path, {}).run(path, "push")
    assert {name: result.conclusion for name, result in results.items()} == {
        "first": "failure",
        "second": "skipped",
        "third": "success",
    }


@pytest.mark.parametrize("name", ["deploy", "rollback", "approve", "drill", "release"])
def test_every_workflow_of_this_repository_can_be_read(name: str) -> None:
    workflow = Workflow.read(Path(__file__).parents[2] / ".github" / "workflows" / f"{name}.yml")
    assert workflow.jobs
    assert all(job.permissions for job in workflow.jobs.values())


@pytest.mark.parametrize("name", ["deploy", "rollback", "approve", "drill"])
def test_a_workflow_that_uses_aws_can_be_called_and_started_by_hand(name: str) -> None:
    """Both ways have the same inputs; commands may be given by a calling workflow alone, which is reviewed."""
    workflow = Workflow.read(Path(__file__).parents[2] / ".github" / "workflows" / f"{name}.yml")
    by_hand, by_call = workflow.triggers["workflow_dispatch"], workflow.triggers["workflow_call"]
    assert set(by_call) - set(by_hand) == ({"migrate-command", "deploy-command"} if name == "deploy" else set())
    assert set(by_hand) <= set(by_call)
    for input_name, declared in by_hand.items():
        called = by_call[input_name]
        assert declared.get("default") == called.get("default"), input_name
        assert declared.get("required") == called.get("required"), input_name
