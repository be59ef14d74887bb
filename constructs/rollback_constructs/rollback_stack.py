"""`MacroAi<Env>RollbackStack`: watches and rolls back the services of an environment, whichever tool deploys them."""

from aws_cdk import Environment as CdkEnvironment
from aws_cdk import Stack
from constructs import Construct

from rollback.domain.settings.environment import Settings
from rollback_constructs.attachment import Attachment
from rollback_constructs.functions.bundling import BundleSettings
from rollback_constructs.rollback_environment import RollbackEnvironment
from rollback_constructs.settings.environment import Environment


class RollbackStack(Stack):
    """Stack of one environment's rollback system, beside the stacks of the services."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: Environment,
        runtime_settings: Settings,
        attachments: tuple[Attachment, ...],
        bundle: BundleSettings,
        env: CdkEnvironment,
    ) -> None:
        super().__init__(
            scope,
            id_,
            env=env,
            description=f"Rolls the services of {runtime_settings.environment} back to their last known good releases",
            termination_protection=settings.ledger.retain,
        )
        RollbackEnvironment(
            self, settings=settings, runtime_settings=runtime_settings, attachments=attachments, bundle=bundle
        )
