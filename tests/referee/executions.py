"""Scripted executions of our two state machines: their inputs, and the acts of the functions at each call."""

from dataclasses import dataclass, field
from typing import Any

from rollback.names import INVALID_INPUT

Act = dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """Script and input of an execution of one machine."""

    script: tuple[Act, ...]
    execution_input: Any = field(default_factory=dict)
    machine: str = "rollback"


def to(step: Any, wait: Any = 0, **more: Any) -> Act:
    """Return a cursor that names the next step."""
    return {"return": {"next": step, "wait_seconds": wait, **more}}


def returning(**cursor: Any) -> Act:
    """Return a cursor with these members only."""
    return {"return": cursor}


def raise_error(error: str, message: str = "raised by the script") -> Act:
    """Raise an error of this class."""
    return {"raise": error, "message": message}


ALL_STEPS = (to("plan"), to("service"), to("verify"), to("conclude"), to("done"))
PLANNED = ALL_STEPS[:1]
VERIFIED = ALL_STEPS[:3]


def _alarm_event(name: Any) -> dict[str, Any]:
    return {"detail": {"alarmName": name}}


def _emergency(*script: Act, execution_input: Any = None) -> Execution:
    return Execution(script, execution_input if execution_input is not None else {"type": "emergency"})


def _at_plan(*script: Act) -> Execution:
    return Execution((*PLANNED, *script))


def _promotion(*script: Act) -> Execution:
    return Execution(script, {"detail": {}}, "promotion")


ENTRANCES = {
    "no input": Execution(ALL_STEPS),
    "an emergency": _emergency(to("verify"), to("conclude"), to("done")),
    "an outage alarm": _emergency(
        to("service"), to("verify"), to("conclude"), to("done"), execution_input=_alarm_event("x-outage")
    ),
    "a degraded alarm": Execution(ALL_STEPS, _alarm_event("x-degraded")),
    "an alarm with outage in its middle": Execution(ALL_STEPS, _alarm_event("x-outage-2")),
    "an alarm whose name is null": Execution(ALL_STEPS, _alarm_event(None)),
    "an alarm whose name is a number": Execution(ALL_STEPS, _alarm_event(3)),
    "a type that is a number": Execution(ALL_STEPS, {"type": 7}),
    "a type that is null": Execution(ALL_STEPS, {"type": None}),
    "a type that is a list": Execution(ALL_STEPS, {"type": ["emergency"]}),
    "a type in capitals": Execution(ALL_STEPS, {"type": "EMERGENCY"}),
    "a detail that is a text": Execution(ALL_STEPS, {"detail": "none"}),
    "a detail that is null": Execution(ALL_STEPS, {"detail": None}),
    "a detail that is a list": Execution(ALL_STEPS, {"detail": [{"alarmName": "x-outage"}]}),
    "a list": Execution(ALL_STEPS, []),
    "a text": Execution(ALL_STEPS, "hello"),
    "a number": Execution(ALL_STEPS, 5),
    "null": Execution(ALL_STEPS, None),
    "a comment in another alphabet": Execution(ALL_STEPS, {"Comment": "Zurück — 戻す"}),
}
STEPS = {
    "through the database": _at_plan(to("database"), to("database", 2), to("service"), to("verify"), *ALL_STEPS[3:]),
    "each step waits": Execution(
        (
            *PLANNED,
            to("plan", 3),
            to("service"),
            to("service", 2),
            to("verify"),
            to("verify", 5),
            to("service"),
            to("verify"),
            to("conclude"),
            to("conclude", 1),
            to("done"),
        )
    ),
    "an emergency that plans": _emergency(*ALL_STEPS),
    "an emergency that concludes": _emergency(to("conclude"), to("done")),
    "admission concludes": Execution((to("conclude"), to("done"))),
    "admission is done": Execution((to("done"),)),
    "verification goes back to the service": Execution((*VERIFIED, to("service"), *ALL_STEPS[2:])),
    "concluded by another": _at_plan(to("done")),
    "a step that does not exist": _at_plan(to("nonsense")),
    "a step that does not follow": _at_plan(to("verify")),
    "a step in capitals": _at_plan(to("SERVICE")),
    "a cursor with more in it": _at_plan(to("service", summary="v2 → v1 “ok”", more=[{"a": None}]), *ALL_STEPS[2:]),
}
FAILURES = {
    "throttled twice": _at_plan(raise_error("Throttled"), raise_error("Throttled"), *ALL_STEPS[1:]),
    "an outside failure at admission": Execution((raise_error("ExternalServiceError"), *ALL_STEPS)),
    "an outside failure in an emergency": _emergency(raise_error("ExternalServiceError"), to("verify"), *ALL_STEPS[3:]),
    "a conflict in the service": Execution((*ALL_STEPS[:2], raise_error("Conflict"), *ALL_STEPS[2:])),
    "retries used up": _at_plan(*[raise_error("Throttled")] * 16, to("done")),
    "two kinds share the retries": _at_plan(*[raise_error("Throttled"), raise_error("Conflict")] * 8, to("done")),
    "invalid at admission": Execution((raise_error("InvalidRequest", "typo"),)),
    "invalid at the plan": _at_plan(raise_error("InvalidRequest", "typo"), to("done")),
    "a typo whose execution could not be stopped": Execution((to(INVALID_INPUT, summary="did you mean 'service'?"),)),
    "a typo in an emergency": _emergency(to(INVALID_INPUT, summary="did you mean 'service'?")),
    "invalid in an emergency": _emergency(raise_error("InvalidRequest", "typo")),
    "refused at admission": Execution((raise_error("CallRefused", "no permission"),)),
    "refused in the service": Execution((*ALL_STEPS[:2], raise_error("CallRefused", "no permission"), to("done"))),
    "refused at the conclusion": Execution((*ALL_STEPS[:4], raise_error("CallRefused", "no permission"))),
    "a bug at admission": Execution((raise_error("ValueError", "bug"),)),
    "a bug in the service": Execution((*ALL_STEPS[:2], raise_error("ValueError", "bug"), to("done"))),
    "a bug in the verification": Execution((*VERIFIED, raise_error("KeyError", "bug"), to("conclude", 1), to("done"))),
    "bugs in the conclusion": Execution(
        (*ALL_STEPS[:4], raise_error("ValueError"), raise_error("KeyError"), to("done"))
    ),
    "a message of several lines": _at_plan(raise_error("ValueError", "one\ntwo: three\n"), to("done")),
    "a crash": _at_plan({"exit": 1}, *ALL_STEPS[1:]),
    "out of time": _at_plan({"sleep": 6}, *ALL_STEPS[1:]),
}
CURSORS = {
    "no next": _at_plan(returning(wait_seconds=0)),
    "a next that is null": _at_plan(to(None)),
    "a next that is a number": _at_plan(to(3)),
    "an answer of null": _at_plan({"return": None}),
    "no wait": _at_plan(returning(next="plan"), *ALL_STEPS[1:]),
    "a wait of half a second": _at_plan(to("plan", 0.5), *ALL_STEPS[1:]),
    "a wait below zero": _at_plan(to("plan", -1), *ALL_STEPS[1:]),
    "a wait that is a text": _at_plan(to("plan", "5"), *ALL_STEPS[1:]),
    "a wait that is null": _at_plan(to("plan", None), *ALL_STEPS[1:]),
}
PROMOTIONS = {
    "a promotion is done": _promotion(to("done")),
    "a promotion bakes": _promotion(to("wait", 2), to("wait", 1), to("done")),
    "a promotion is retried": _promotion(
        raise_error("ExternalServiceError"), to("wait", 1), raise_error("Throttled"), to("done")
    ),
    "a bug in a promotion": _promotion(to("wait", 1), raise_error("ValueError", "bug")),
    "an invalid promotion": _promotion(raise_error("InvalidRequest", "typo")),
    "a promotion to nowhere": _promotion(to("nonsense")),
}
EXECUTIONS = FAILURES | STEPS | PROMOTIONS | CURSORS | ENTRANCES  # the longest first
