"""Scripted executions of our two state machines: what comes in, and what the functions do at each call."""

from dataclasses import dataclass, field
from typing import Any

Act = dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """One execution."""

    script: tuple[Act, ...]
    given: Any = field(default_factory=dict)
    machine: str = "rollback"


def to(step: Any, wait: Any = 0, **more: Any) -> Act:
    """A cursor that names the next step."""
    return {"return": {"next": step, "wait_seconds": wait, **more}}


def returning(**cursor: Any) -> Act:
    """A cursor as it is given, with nothing added."""
    return {"return": cursor}


def raise_error(error: str, message: str = "told to") -> Act:
    """An error of this class."""
    return {"raise": error, "message": message}


WAY = (to("plan"), to("service"), to("verify"), to("conclude"), to("done"))
PLANNED = WAY[:1]
VERIFIED = WAY[:3]


def _of_alarm(name: Any) -> dict[str, Any]:
    return {"detail": {"alarmName": name}}


def _emergency(*script: Act, given: Any = None) -> Execution:
    return Execution(script, given if given is not None else {"type": "emergency"})


def _at_plan(*script: Act) -> Execution:
    return Execution((*PLANNED, *script))


def _promotion(*script: Act) -> Execution:
    return Execution(script, {"detail": {}}, "promotion")


ENTRANCES = {
    "nothing is given": Execution(WAY),
    "an emergency": _emergency(to("verify"), to("conclude"), to("done")),
    "an outage alarm": _emergency(to("service"), to("verify"), to("conclude"), to("done"), given=_of_alarm("x-outage")),
    "a degraded alarm": Execution(WAY, _of_alarm("x-degraded")),
    "an alarm with outage in its middle": Execution(WAY, _of_alarm("x-outage-2")),
    "an alarm whose name is null": Execution(WAY, _of_alarm(None)),
    "an alarm whose name is a number": Execution(WAY, _of_alarm(3)),
    "a type that is a number": Execution(WAY, {"type": 7}),
    "a type that is null": Execution(WAY, {"type": None}),
    "a type that is a list": Execution(WAY, {"type": ["emergency"]}),
    "a type in capitals": Execution(WAY, {"type": "EMERGENCY"}),
    "a detail that is a text": Execution(WAY, {"detail": "none"}),
    "a detail that is null": Execution(WAY, {"detail": None}),
    "a detail that is a list": Execution(WAY, {"detail": [{"alarmName": "x-outage"}]}),
    "a list": Execution(WAY, []),
    "a text": Execution(WAY, "hello"),
    "a number": Execution(WAY, 5),
    "null": Execution(WAY, None),
    "a comment in another alphabet": Execution(WAY, {"Comment": "Zurück — 戻す"}),
}
STEPS = {
    "through the database": _at_plan(to("database"), to("database", 2), to("service"), to("verify"), *WAY[3:]),
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
    "an emergency that plans": _emergency(*WAY),
    "an emergency that concludes": _emergency(to("conclude"), to("done")),
    "admission concludes": Execution((to("conclude"), to("done"))),
    "admission is done": Execution((to("done"),)),
    "verification goes back to the service": Execution((*VERIFIED, to("service"), *WAY[2:])),
    "concluded by another": _at_plan(to("done")),
    "a step that does not exist": _at_plan(to("nonsense")),
    "a step that does not follow": _at_plan(to("verify")),
    "a step in capitals": _at_plan(to("SERVICE")),
    "a cursor with more in it": _at_plan(to("service", summary="v2 → v1 “ok”", more=[{"a": None}]), *WAY[2:]),
}
FAILURES = {
    "throttled twice": _at_plan(raise_error("Throttled"), raise_error("Throttled"), *WAY[1:]),
    "an outside failure at admission": Execution((raise_error("ExternalServiceError"), *WAY)),
    "an outside failure in an emergency": _emergency(raise_error("ExternalServiceError"), to("verify"), *WAY[3:]),
    "a conflict in the service": Execution((*WAY[:2], raise_error("Conflict"), *WAY[2:])),
    "retries used up": _at_plan(*[raise_error("Throttled")] * 16, to("done")),
    "two kinds share the retries": _at_plan(*[raise_error("Throttled"), raise_error("Conflict")] * 8, to("done")),
    "invalid at admission": Execution((raise_error("InvalidRequest", "typo"),)),
    "invalid at the plan": _at_plan(raise_error("InvalidRequest", "typo"), to("done")),
    "invalid in an emergency": _emergency(raise_error("InvalidRequest", "typo")),
    "refused at admission": Execution((raise_error("CallRefused", "no permission"),)),
    "refused in the service": Execution((*WAY[:2], raise_error("CallRefused", "no permission"), to("done"))),
    "refused at the conclusion": Execution((*WAY[:4], raise_error("CallRefused", "no permission"))),
    "a bug at admission": Execution((raise_error("ValueError", "bug"),)),
    "a bug in the service": Execution((*WAY[:2], raise_error("ValueError", "bug"), to("done"))),
    "a bug in the verification": Execution((*VERIFIED, raise_error("KeyError", "bug"), to("conclude", 1), to("done"))),
    "bugs in the conclusion": Execution((*WAY[:4], raise_error("ValueError"), raise_error("KeyError"), to("done"))),
    "a message of several lines": _at_plan(raise_error("ValueError", "one\ntwo: three\n"), to("done")),
    "a crash": _at_plan({"exit": 1}, *WAY[1:]),
    "out of time": _at_plan({"sleep": 6}, *WAY[1:]),
}
CURSORS = {
    "no next": _at_plan(returning(wait_seconds=0)),
    "a next that is null": _at_plan(to(None)),
    "a next that is a number": _at_plan(to(3)),
    "nothing at all": _at_plan({"return": None}),
    "no wait": _at_plan(returning(next="plan"), *WAY[1:]),
    "a wait of half a second": _at_plan(to("plan", 0.5), *WAY[1:]),
    "a wait below zero": _at_plan(to("plan", -1), *WAY[1:]),
    "a wait that is a text": _at_plan(to("plan", "5"), *WAY[1:]),
    "a wait that is null": _at_plan(to("plan", None), *WAY[1:]),
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
