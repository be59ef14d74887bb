"""Fake ports for the steps, each part of which a test may replace."""

from dataclasses import replace
from typing import Any

from fakes.aws.alarms import FakeAlarms
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.cloudformation import FakeStacks
from fakes.aws.ecs_services import FakeServices
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.elb import FakeTargetGroups
from fakes.aws.events import FakeEvents
from fakes.aws.images import FakeImages, FakeReferences
from fakes.aws.metrics import FakeMetrics
from fakes.aws.report_store import FakeReportStore
from fakes.aws.secrets import FakeSecrets
from fakes.aws.sns import FakeNotifications
from fakes.aws.step_functions import FakeWorkflow
from fakes.cipher import FakeTokenCipher
from fakes.clock import FakeClock
from fakes.database_checks import FakeDatabaseChecks
from fakes.github import FakeGitHub
from fakes.http import FakeHttp
from fakes.identity import FakeIdentityProofs
from fakes.ledger import FakeLedger
from fakes.neon import FakeNeon
from fakes.sql import FakeSql
from fakes.webhooks import FakeWebhooks
from support.builders import NOW, SERVICE

from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.settings.environment import HealthEndpoint, ServiceSettings, Settings
from rollback.domain.settings.policy import Policy
from rollback.ports.all_ports import AllPorts

SETTINGS = Settings(
    application="macro-ai",
    environment="production",
    services=(
        ServiceSettings(
            name=SERVICE,
            cluster="macro-ai-production-cluster",
            ecs_service="macro-ai-production-service",
            container="api",
            base_url="http://api.test",
            endpoints=(HealthEndpoint(path="/health"),),
        ),
    ),
)
DEGRADED = f"macro-ai-production-{SERVICE}-degraded"
OUTAGE = f"macro-ai-production-{SERVICE}-outage"
ECS_SERVICE_ARN = "arn:aws:ecs:eu-west-1:123456789012:service/macro-ai-production-cluster/macro-ai-production-service"


def make_ports(policy: Policy | None = None, approval: ApprovalPolicy | None = None, **parts: Any) -> AllPorts:
    """Build ports of fakes; `parts` replace fields of `AllPorts`."""
    clock = parts.pop("clock", None) or FakeClock(NOW)
    services = parts.pop("services", None) or FakeServices(clock)
    neon = FakeNeon(clock)
    ports = AllPorts(
        settings=SETTINGS.model_copy(update={"policy": policy or Policy(), "approval": approval or ApprovalPolicy()}),
        clock=clock,
        ledger=FakeLedger(),
        services=services,
        target_groups=FakeTargetGroups(services),
        scaling=FakeScaling(services),
        stacks=FakeStacks(),
        secrets=FakeSecrets(),
        references=FakeReferences(),
        images=FakeImages(),
        alarms=FakeAlarms(),
        http=FakeHttp(),
        notifications=FakeNotifications(),
        metrics=FakeMetrics(),
        workflow=FakeWorkflow(),
        neon=neon,
        sql=FakeSql(neon),
        tasks=FakeTasks(services),
        database_checks=FakeDatabaseChecks(),
        token_cipher=FakeTokenCipher(),
        identity_proofs=FakeIdentityProofs(),
        github=FakeGitHub(clock),
        report_store=FakeReportStore(),
        events=FakeEvents(),
        webhooks=FakeWebhooks(),
    )
    return replace(ports, **parts)
