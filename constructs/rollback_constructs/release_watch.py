"""The state machine of the watch over a fresh release: look at it every few seconds until the watch is over.

Begin → wait ⇄ Look → Done
"""

from rollback_constructs.promotion import PROMOTE_FUNCTION
from rollback_constructs.workflow import UNKNOWN_STEP, Definition, invoke, transient_retries

_NEXT = "Choose what is next"
_ROLLOUT_MINUTES = 75  # the watch waits an hour for a deployment to settle, and repeats calls that fail


def definition(watch_minutes: float) -> Definition:
    """Return the definition in Amazon States Language (JSONPath).

    The function returns `next`, which is `look` or `done`, and `wait_seconds`.

    Args:
        watch_minutes: length of the watch after the deployment has settled.
    """
    begin = {"step": "begin_watch", "event.$": "$$.Execution.Input"}
    look = {"step": "look", "cursor.$": "$"}
    return {
        "StartAt": "Begin",
        "TimeoutSeconds": round((_ROLLOUT_MINUTES + watch_minutes) * 60),
        "States": {
            "Begin": invoke(PROMOTE_FUNCTION, begin, transient_retries(), _NEXT),
            _NEXT: {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.next", "StringEquals": "look", "Next": "Wait"},
                    {"Variable": "$.next", "StringEquals": "done", "Next": "Done"},
                ],
                "Default": UNKNOWN_STEP,
            },
            "Wait": {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": "Look"},
            "Look": invoke(PROMOTE_FUNCTION, look, transient_retries(), _NEXT),
            "Done": {"Type": "Succeed"},
            UNKNOWN_STEP: {
                "Type": "Fail",
                "Error": UNKNOWN_STEP,
                "Cause": "the function promote named no state of this state machine: deploy the stack again",
            },
        },
    }
