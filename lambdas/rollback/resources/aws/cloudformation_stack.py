"""State of a CloudFormation stack, and its drift from the release that runs."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class StackState(StrEnum):
    """Activity of CloudFormation on the stack that deploys the service.

    Rule 6: while CloudFormation changes the stack, a rollback stops a deployment only, or observes.
    """

    STABLE = "stable"
    UPDATING = "updating"  # only StopServiceDeployment is safe
    ROLLING_BACK = "rolling_back"  # CloudFormation puts resources back: observe, then plan again
    NOT_KNOWN = "not_known"  # CloudFormation gave no answer: it may be changing the service


class StackView(BaseModel):
    """View of a stack from DescribeStacks and ListStackResources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    status: str
    definition_arns: tuple[str, ...] = ()

    @property
    def state(self) -> StackState:
        """Activity that the status means (API reference, Stack.StackStatus).

        In the statuses `…_CLEANUP_IN_PROGRESS` all resources have their final state. CloudFormation then removes
        replaced resources, or new resources that are no longer needed (user guide, "Understand CloudFormation stack
        creation events" and the table of stack status codes). A removal may take hours and changes no service.
        """
        if not self.status.endswith("_IN_PROGRESS") or self.status.endswith("_CLEANUP_IN_PROGRESS"):
            return StackState.STABLE
        return StackState.ROLLING_BACK if "ROLLBACK" in self.status else StackState.UPDATING

    def has_stack_rolled_back_to(self, definition_arn: str) -> bool:
        """Report whether CloudFormation itself rolls back, or rolled back, to that definition."""
        went_back = "ROLLBACK" in self.status and definition_arn in self.definition_arns
        return went_back or self.state is StackState.ROLLING_BACK


def list_drift(stack: StackView, running_definition_arn: str) -> str | None:
    """Describe how the stack differs from the definition that runs, and what to do; None without a difference.

    After an UpdateService by another caller, CloudFormation still records the revision that it deployed. A deploy of
    the same template changes nothing. A deploy that changes the service ships the template's definition
    (aws-cloudformation/cloudformation-coverage-roadmap#2234).
    """
    if running_definition_arn in stack.definition_arns or not stack.definition_arns:
        return None
    runs, recorded = (arn.rsplit("/", 1)[-1] for arn in (running_definition_arn, stack.definition_arns[0]))
    return (
        f"CloudFormation (stack {stack.name}) still records {recorded}, but {runs} runs. The next deploy that changes "
        "the service ships what the template says. Put the template on the release that runs, or on a fix, before you "
        "deploy. A deploy of an unchanged template changes nothing."
    )
