"""A CloudFormation stack as it stands, and whether it still says what runs."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class StackState(StrEnum):
    """What CloudFormation is doing with the stack that deploys the service (rule 6)."""

    STABLE = "stable"
    UPDATING = "updating"  # only StopServiceDeployment is safe
    ROLLING_BACK = "rolling_back"  # it puts something back by itself: observe, then plan again
    NOT_KNOWN = "not_known"  # CloudFormation could not be asked: it may be changing the service


class StackView(BaseModel):
    """Cut from DescribeStacks and ListStackResources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    status: str
    definition_arns: tuple[str, ...] = ()

    @property
    def state(self) -> StackState:
        """From the status; names are CloudFormation's (API reference, Stack.StackStatus).

        `UPDATE_COMPLETE_CLEANUP_IN_PROGRESS` and `UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS`: all resources are as
        they are to be, and CloudFormation removes the ones that were replaced, or new ones that are no longer needed
        (user guide, "Understand CloudFormation stack creation events" and the table of stack status codes). A removal
        may take hours; it changes no service.
        """
        if not self.status.endswith("_IN_PROGRESS") or self.status.endswith("_CLEANUP_IN_PROGRESS"):
            return StackState.STABLE
        return StackState.ROLLING_BACK if "ROLLBACK" in self.status else StackState.UPDATING

    def has_stack_rolled_back_to(self, definition_arn: str) -> bool:
        """Whether a deployment of that definition is CloudFormation's own way back, under way or ended."""
        went_back = "ROLLBACK" in self.status and definition_arn in self.definition_arns
        return went_back or self.state is StackState.ROLLING_BACK


def drift(stack: StackView, running_definition_arn: str) -> str | None:
    """How CloudFormation's idea of the service differs from what runs, and what to do; None: it does not.

    After an UpdateService that CloudFormation did not make, it still records the revision that it deployed: a deploy
    of the same template changes nothing, and one that changes the service ships what the template says
    (aws-cloudformation/cloudformation-coverage-roadmap#2234).
    """
    if running_definition_arn in stack.definition_arns or not stack.definition_arns:
        return None
    runs, recorded = (arn.rsplit("/", 1)[-1] for arn in (running_definition_arn, stack.definition_arns[0]))
    return (
        f"CloudFormation (stack {stack.name}) still records {recorded}, but {runs} runs. The next deploy that changes "
        "the service ships what the template says: put the template on the release that runs, or on a fix, before you "
        "deploy; a deploy of an unchanged template changes nothing."
    )
