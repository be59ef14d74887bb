"""The page of an execution in the console of Step Functions, for links in messages."""

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}
_PARTS = 8  # arn:<partition>:states:<region>:<account>:execution:<state machine>:<name>


def execution_link(execution: str) -> str:
    """Return the URL of an execution's page; empty if the rollback has no execution, as in direct mode.

    Args:
        execution: ARN of the execution.
    """
    parts = execution.split(":")
    console = _CONSOLES.get(parts[1]) if len(parts) == _PARTS and parts[0] == "arn" and parts[2] == "states" else None
    if console is None or not execution.isascii() or any(character in execution for character in " \"'<>#?%&"):
        return ""
    return f"https://{console}/states/home?region={parts[3]}#/v2/executions/details/{execution}"
