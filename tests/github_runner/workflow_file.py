"""Workflow files and action files, read into the parts that the runner carries out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

_STEP_KEYS = frozenset({"name", "id", "if", "uses", "with", "run", "env", "shell", "continue-on-error"})
_JOB_KEYS = frozenset(
    {"name", "if", "needs", "runs-on", "timeout-minutes", "environment", "permissions", "outputs", "env", "steps"}
)


class UnreadableWorkflow(Exception):
    """A file has a member that the runner does not carry out."""


@dataclass(frozen=True)
class Step:
    """One step of a job or of a composite action; exactly one of `uses` and `run` is given."""

    id: str | None
    name: str
    condition: str | bool | None
    uses: str | None
    run: str | None
    shell: str | None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    may_fail: bool = False

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        if unknown := set(given) - _STEP_KEYS:
            raise UnreadableWorkflow(f"a step has {', '.join(sorted(unknown))}, which the runner does not carry out")
        if ("uses" in given) == ("run" in given):
            raise UnreadableWorkflow(f"a step needs one of uses and run: {given}")
        uses, run = given.get("uses"), given.get("run")
        return cls(
            id=given.get("id"),
            name=str(given.get("name") or uses or str(run).partition("\n")[0]),
            condition=given.get("if"),
            uses=uses,
            run=run,
            shell=given.get("shell"),
            inputs=given.get("with") or {},
            env=given.get("env") or {},
            may_fail=bool(given.get("continue-on-error", False)),
        )


@dataclass(frozen=True)
class Job:
    """One job of a workflow."""

    id: str
    needs: tuple[str, ...]
    condition: str | bool | None
    environment: str | None
    permissions: Mapping[str, str]
    outputs: Mapping[str, str]
    env: Mapping[str, Any]
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, id_: str, given: Mapping[str, Any]) -> Self:
        if unknown := set(given) - _JOB_KEYS:
            raise UnreadableWorkflow(f"job {id_} has {', '.join(sorted(unknown))}, which the runner does not carry out")
        needs = given.get("needs") or ()
        return cls(
            id=id_,
            needs=(needs,) if isinstance(needs, str) else tuple(needs),
            condition=given.get("if"),
            environment=given.get("environment"),
            permissions=given.get("permissions") or {},
            outputs=given.get("outputs") or {},
            env=given.get("env") or {},
            steps=tuple(Step.read(step) for step in given["steps"]),
        )


@dataclass(frozen=True)
class Workflow:
    """A workflow with the inputs of each way to start it, such as `workflow_dispatch`."""

    triggers: Mapping[str, Mapping[str, Any]]
    shell: str | None
    env: Mapping[str, Any]
    jobs: Mapping[str, Job]

    @classmethod
    def read(cls, path: Path) -> Self:
        given = yaml.safe_load(path.read_text())
        triggers = given[True]  # YAML 1.1 reads the key `on` as true
        listed = triggers if isinstance(triggers, Mapping) else dict.fromkeys([triggers])
        return cls(
            triggers={
                name: (value or {}).get("inputs") or {} if isinstance(value, Mapping) else {}
                for name, value in listed.items()
            },
            shell=((given.get("defaults") or {}).get("run") or {}).get("shell"),
            env=given.get("env") or {},
            jobs={name: Job.read(name, job) for name, job in given["jobs"].items()},
        )


@dataclass(frozen=True)
class CompositeAction:
    """An action that is made of steps."""

    folder: Path
    inputs: Mapping[str, Any]
    outputs: Mapping[str, str]
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        given = yaml.safe_load((folder / "action.yml").read_text())
        if given["runs"]["using"] != "composite":
            raise UnreadableWorkflow(f"{folder} is no composite action; the runner carries out no other")
        steps = tuple(Step.read(step) for step in given["runs"]["steps"])
        if unset := [step.name for step in steps if step.run is not None and step.shell is None]:
            raise UnreadableWorkflow(f"{folder}: step {unset[0]!r} of a composite action has no shell")
        outputs = {name: output["value"] for name, output in (given.get("outputs") or {}).items()}
        return cls(folder=folder, inputs=given.get("inputs") or {}, outputs=outputs, steps=steps)
