"""The promotion state machine: record what was deployed, let it bake, judge it by evidence.

Record → wait ⇄ Judge → Done
"""

from rollback_constructs.workflow import UNKNOWN_STEP, Definition, invoke, transient_retries

PROMOTE_FUNCTION = "PromoteFunction"
_NEXT = "Choose what is next"


def definition(timeout_minutes: float) -> Definition:
    """Amazon States Language (JSONPath). The function's `next` is `wait` or `done`, its `wait_seconds` the wait."""
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
            UNKNOWN_STEP: {"Type": "Fail", "Error": UNKNOWN_STEP, "Cause": "promote answered neither wait nor done"},
        },
    }
