"""The promotion state machine: record the deployed release, let it bake, promote it on evidence.

Record → wait ⇄ Judge → Done
"""

from rollback_constructs.workflow import UNKNOWN_STEP, Definition, invoke, transient_retries

PROMOTE_FUNCTION = "PromoteFunction"
_NEXT = "Choose what is next"


def definition(timeout_minutes: float) -> Definition:
    """Return the definition in Amazon States Language (JSONPath).

    The function returns `next`, which is `wait` or `done`, and `wait_seconds`.
    """
    record = {"step": "record", "event.$": "$$.Execution.Input"}
    judge = {"step": "judge", "cursor.$": "$"}
    return {
        "StartAt": "Record",
        "TimeoutSeconds": round(timeout_minutes * 60),
        "States": {
            "Record": invoke(PROMOTE_FUNCTION, record, transient_retries(), _NEXT),
            _NEXT: {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.next", "StringEquals": "wait", "Next": "Bake"},
                    {"Variable": "$.next", "StringEquals": "done", "Next": "Done"},
                ],
                "Default": UNKNOWN_STEP,
            },
            "Bake": {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": "Judge"},
            "Judge": invoke(PROMOTE_FUNCTION, judge, transient_retries(), _NEXT),
            "Done": {"Type": "Succeed"},
            UNKNOWN_STEP: {
                "Type": "Fail",
                "Error": UNKNOWN_STEP,
                "Cause": "the function promote named no state of this state machine: deploy the stack again",
            },
        },
    }
