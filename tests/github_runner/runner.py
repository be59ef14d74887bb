"""A runner of GitHub Actions for our workflows, on this machine: each `run` block is really run, with bash.

It reads the workflow's file, evaluates the expressions, and gives each block the files of a real runner: GITHUB_ENV,
GITHUB_OUTPUT, GITHUB_PATH, GITHUB_STEP_SUMMARY. Composite actions of this repository are carried out step by step. An
action of another repository is stood in for by a function of the test; without one the step is an error.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from github_runner.expressions import as_text, condition, interpolate
from github_runner.workflow_file import CompositeAction, Job, Step, UnreadableWorkflow, Workflow

ROOT = Path(__file__).parents[2]
_STEP_SECONDS = 540
# GitHub Docs, "Workflow syntax", `jobs.<job_id>.steps[*].shell`: without `shell`, bash runs without pipefail.
_SHELLS = {None: ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}
_OWN = "$/"  # the repository of the workflow itself


@dataclass
class StandIn:
    """Effects of a foreign action: outputs of its step, and variables for the later steps."""

    outputs: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


ForeignAction = Callable[[Mapping[str, str]], StandIn]  # the evaluated inputs → what it does


@dataclass
class StepResult:
    """A step after its end.

    Attributes:
        outcome: `success`, `failure` or `skipped`.
        log: standard output and standard error.
    """

    name: str
    outcome: str
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""


@dataclass
class JobResult:
    """A job after its end, with what a person sees on its page."""

    conclusion: str
    environment: str | None
    steps: list[StepResult]
    outputs: dict[str, str]
    summary: str

    @property
    def log(self) -> str:
        """The whole log, for the message of a failed assertion."""
        return "\n".join(f"## {step.name}: {step.outcome}\n{step.log}" for step in self.steps)

    def step(self, name: str) -> StepResult:
        """The step of a name, by its beginning."""
        return next(step for step in self.steps if step.name.startswith(name))


@dataclass(frozen=True)
class Runner:
    """A machine that runs jobs.

    Attributes:
        temp: folder for RUNNER_TEMP; jobs on the same machine share it.
        workspace: folder that the jobs begin in.
        foreign: stand-in of each action of another repository, by `owner/name`.
        variables: values of `vars`.
        actor: login of the person who starts the workflow.
        ref_name: branch or tag.
        base: environment variables of the machine.
    """

    temp: Path
    workspace: Path
    foreign: Mapping[str, ForeignAction]
    variables: Mapping[str, str] = field(default_factory=dict)
    actor: str = "alice"
    base: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ref_name: str = "main"

    def run(self, path: Path, trigger: str, inputs: Mapping[str, Any] | None = None) -> dict[str, JobResult]:
        """Run a workflow as if it was started by a trigger, and return its jobs by their ids.

        Raises:
            UnreadableWorkflow: the workflow has no such trigger, or an input is missing or unknown.
        """
        workflow = Workflow.read(path)
        if trigger not in workflow.triggers:
            raise UnreadableWorkflow(f"{path.name} is not started by {trigger}")
        given = _inputs(workflow.triggers[trigger], inputs or {})
        github = {
            "actor": self.actor,
            "event_name": trigger,
            "repository": "macro-ai/shop",
            "ref_name": self.ref_name,
            "run_id": "1",
            "token": "token-of-the-job",
        }
        results: dict[str, JobResult] = {}
        for job in workflow.jobs.values():
            needs = {name: results[name] for name in job.needs}
            contexts = {"inputs": given, "vars": self.variables, "github": github}
            results[job.id] = _JobRun(self, workflow, job, contexts).run(needs)
        return results


def _inputs(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := set(given) - set(declared):
        raise UnreadableWorkflow(f"the workflow has no input {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}
    for name, one in declared.items():
        if one.get("required") and name not in given:
            raise UnreadableWorkflow(f"the input {name} is required")
        value = given.get(name, one.get("default"))
        if value is None and one.get("type") in {"string", "environment", "choice", None}:
            value = ""
        if one.get("type") == "choice" and value not in one["options"]:
            raise UnreadableWorkflow(f"the input {name} is {value!r}; allowed: {', '.join(one['options'])}")
        if one.get("type") == "boolean" and not isinstance(value, bool):
            raise UnreadableWorkflow(f"the input {name} is {value!r}; allowed is true or false")
        values[name] = value
    return values


class _JobRun:
    """State of one job while it runs."""

    def __init__(self, runner: Runner, workflow: Workflow, job: Job, contexts: Mapping[str, Any]) -> None:
        self._runner, self._workflow, self._job = runner, workflow, job
        self._status = "success"
        self._variables: dict[str, str] = {}
        self._path: list[str] = []
        self._summary = ""
        self._contexts = dict(contexts)
        self._results: list[StepResult] = []

    def run(self, needs: Mapping[str, JobResult]) -> JobResult:
        """Run the job after the jobs that it needs."""
        self._contexts["needs"] = {
            name: {"outputs": result.outputs, "result": result.conclusion} for name, result in needs.items()
        }
        have_succeeded = all(result.conclusion == "success" for result in needs.values())
        self._status = "success" if have_succeeded else "failure"
        if not condition(self._job.condition, self._with_status()):
            return JobResult("skipped", None, [], {}, "")
        self._status = "success"
        name = self._job.environment
        environment = as_text(interpolate(name, self._contexts)) if name is not None else None
        env = {**self._workflow.env, **self._job.env}
        job_env = {key: as_text(interpolate(as_text(value), self._contexts)) for key, value in env.items()}
        steps: dict[str, Any] = {}
        for step in self._job.steps:
            self._step(step, {**self._contexts, "steps": steps, "env": job_env}, steps, job_env, {})
        outputs = {
            key: as_text(interpolate(value, {**self._contexts, "steps": steps}))
            for key, value in self._job.outputs.items()
        }
        return JobResult(self._status, environment, self._results, outputs, self._summary)

    def _with_status(self) -> dict[str, Any]:
        return {**self._contexts, "job": {"status": self._status}}

    def _step(
        self,
        step: Step,
        contexts: Mapping[str, Any],
        steps: dict[str, Any],
        env: Mapping[str, str],
        extra: Mapping[str, str],
    ) -> StepResult:
        """Run one step, and record it in the context `steps` of its job or action."""
        contexts = {**contexts, "job": {"status": self._status}}
        result = StepResult(step.name, "skipped")
        if condition(step.condition, contexts):
            own = {key: as_text(interpolate(as_text(value), contexts)) for key, value in step.env.items()}
            if step.run is not None:
                script = as_text(interpolate(step.run, contexts))
                result = self._run_block(step, script, {**env, **self._variables, **own, **extra})
            else:
                result = self._use(step, contexts, {**env, **own})
        if step.id is not None:
            conclusion = "success" if step.may_fail and result.outcome == "failure" else result.outcome
            steps[step.id] = {"outputs": result.outputs, "outcome": result.outcome, "conclusion": conclusion}
        if result.outcome == "failure" and not step.may_fail:
            self._status = "failure"
        self._results.append(result)
        return result

    def _use(self, step: Step, contexts: Mapping[str, Any], env: Mapping[str, str]) -> StepResult:
        uses = str(step.uses)
        inputs = {name: as_text(interpolate(as_text(value), contexts)) for name, value in step.inputs.items()}
        if uses.startswith(_OWN):
            return self._use_composite(step, CompositeAction.read(ROOT / uses.removeprefix(_OWN)), inputs, env)
        name = uses.partition("@")[0]
        if name not in self._runner.foreign:
            raise UnreadableWorkflow(f"nothing stands in for the action {name}")
        done = self._runner.foreign[name](inputs)
        self._variables |= done.variables
        return StepResult(step.name, "success", done.outputs)

    def _use_composite(
        self, step: Step, action: CompositeAction, given: Mapping[str, str], env: Mapping[str, str]
    ) -> StepResult:
        """Carry out the steps of an action; its steps see its own inputs, and not those of the workflow."""
        defaults = {name: as_text(one.get("default")) for name, one in action.inputs.items()}
        if unknown := set(given) - set(defaults):
            raise UnreadableWorkflow(f"{action.folder.name} has no input {', '.join(sorted(unknown))}")
        steps: dict[str, Any] = {}
        contexts = {"inputs": {**defaults, **given}, "github": self._contexts["github"], "steps": steps, "env": env}
        inner = [
            self._step(one, contexts, steps, env, {"GITHUB_ACTION_PATH": str(action.folder)}) for one in action.steps
        ]
        outcome = "failure" if any(one.outcome == "failure" for one in inner) else "success"
        outputs = {name: as_text(interpolate(value, contexts)) for name, value in action.outputs.items()}
        return StepResult(step.name, outcome, outputs)

    def _run_block(self, step: Step, script: str, env: Mapping[str, str]) -> StepResult:
        files = {
            name: self._runner.temp / f"{name.lower()}-{len(self._results)}"
            for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        }
        for file in files.values():
            file.write_text("")
        shell = step.shell or self._workflow.shell
        if shell not in _SHELLS:
            raise UnreadableWorkflow(f"step {step.name!r} has the shell {shell!r}, which the runner does not have")
        block = self._runner.temp / f"block-{len(self._results)}.sh"
        block.write_text(script)
        process = subprocess.run(
            [*_SHELLS[shell], str(block)],
            cwd=self._runner.workspace, env={**self._machine(), **env, **{k: str(v) for k, v in files.items()}},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=_STEP_SECONDS,
        )  # fmt: skip
        self._variables |= _read_values(files["GITHUB_ENV"])
        self._path = [*reversed(files["GITHUB_PATH"].read_text().splitlines()), *self._path]
        self._summary += files["GITHUB_STEP_SUMMARY"].read_text()
        outcome = "failure" if process.returncode else "success"
        return StepResult(step.name, outcome, _read_values(files["GITHUB_OUTPUT"]), process.stdout)

    def _machine(self) -> dict[str, str]:
        runner, github = self._runner, self._contexts["github"]
        path = os.pathsep.join([*self._path, runner.base["PATH"]])
        return {
            **runner.base, "PATH": path, "RUNNER_TEMP": str(runner.temp), "GITHUB_WORKSPACE": str(runner.workspace),
            "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": github["actor"], "GITHUB_RUN_ID": github["run_id"],
            "GITHUB_REPOSITORY": github["repository"], "GITHUB_REF_NAME": github["ref_name"],
        }  # fmt: skip


def _read_values(file: Path) -> dict[str, str]:
    """Read `name=value` lines and multi-line values, `name<<END`, of a file that a step wrote."""
    values: dict[str, str] = {}
    lines = iter(file.read_text().splitlines())
    for line in lines:
        name, sign, value = line.partition("=")
        if "<<" in name or not sign:
            name, sign, end = line.partition("<<")
            if not sign:
                raise UnreadableWorkflow(f"a step wrote {line!r}, which is neither name=value nor name<<END")
            text = []
            for part in lines:
                if part == end:
                    break
                text.append(part)
            value = "\n".join(text)
        values[name] = value
    return values
