"""Access of all checks: the deployed stack, the product's own ports, and AWS's API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rollback.domain.settings.environment import Settings
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.doctor.aws_api import AwsApi
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter


@dataclass(frozen=True)
class Examination:
    """One run of the doctor.

    Attributes:
        now: this machine's clock.
        count_neon_projects: asks Neon how many projects the key lists; Neon may refuse that.
    """

    stack_name: str
    deployment: DeployedStack
    ports: AllPorts
    aws: AwsApi
    now: Callable[[], datetime]
    count_neon_projects: Callable[[], int]

    @property
    def settings(self) -> Settings:
        """Settings of the environment."""
        return self.deployment.settings

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self.settings.environment

    @property
    def place(self) -> AccountAndRegion:
        """Account and region of the deployed stack."""
        place = AccountAndRegion.of_arn(self.deployment.workflow_arn)
        if place is None:
            raise ValueError(f"not the ARN of a state machine: {self.deployment.workflow_arn}")
        return place

    @property
    def functions(self) -> tuple[str, ...]:
        """Short names of the functions that the stack has."""
        optional = {
            "database": self.settings.database is not None,
            "approve": self.deployment.approve_function is not None,
        }
        return tuple(name for name in ALL_FUNCTIONS if optional.get(name, True))

    def function_name(self, short_name: str) -> str:
        """Return the full name of a function."""
        return f"{self.settings.prefix}-rollback-{short_name}"

    def role_of(self, short_name: str) -> str:
        """Read the ARN of a function's role from Lambda.

        Raises:
            ExternalServiceError: Lambda refuses the call, or does not answer.
        """
        name = self.function_name(short_name)
        return str(self.aws.call("lambda", "GetFunctionConfiguration", FunctionName=name)["Role"])

    def function_variables(self, short_name: str) -> Mapping[str, str]:
        """Read a function's environment variables from Lambda; errors as for `role_of`."""
        answer = self.aws.call("lambda", "GetFunctionConfiguration", FunctionName=self.function_name(short_name))
        return (answer.get("Environment") or {}).get("Variables") or {}

    def function_arn(self, short_name: str) -> str:
        """Return the ARN of a function."""
        return self.arn("lambda", f"function:{self.function_name(short_name)}")

    def arn(self, service: str, resource: str) -> str:
        """Return an ARN in the stack's account and region."""
        place = self.place
        return f"arn:{place.partition}:{service}:{place.region}:{place.account}:{resource}"


ALL_FUNCTIONS = ("decide", "service", "report", "promote", "database", "approve")


def question(group: Group, check: str, ask: Callable[[Reporter], list[Finding] | Finding]) -> Question:
    """Make a question whose answer is one finding or several."""

    def answer() -> list[Finding]:
        result = ask(Reporter(group, check))
        return result if isinstance(result, list) else [result]

    return Question(group, check, answer)
