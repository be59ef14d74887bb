"""Deployed environment, used through AWS's APIs and the command line as a team and an operator do."""

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from referee.emulator import ACCOUNT, REGION, ROOT, Emulator

PREFIX = "macro-ai-production"
SERVICE = "express-api"
CLUSTER, ECS_SERVICE, REPOSITORY = f"{PREFIX}-cluster", f"{PREFIX}-service", "macro-ai-express-api"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_KEPT = (
    "family", "taskRoleArn", "executionRoleArn", "networkMode", "requiresCompatibilities", "cpu", "memory",
    "runtimePlatform",
)  # fmt: skip
T = TypeVar("T")


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 90) -> T:
    """Wait for the first answer that is not None.

    Raises:
        AssertionError: there was none within the seconds.
    """
    deadline = time.monotonic() + seconds
    while (answer := probe()) is None:
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.2)
    return answer


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def application() -> Iterator[str]:
    """Run an application that answers 200 to every request, and yield its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Live:
    """Production environment, deployed on an emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.digests: dict[str, str] = {}  # image digests by version
        self._ecs, self._ecr = emulator.client("ecs"), emulator.client("ecr")
        self._cloudwatch, self._elb = emulator.client("cloudwatch"), emulator.client("elbv2")
        self._states, self._iam = emulator.client("stepfunctions"), emulator.client("iam")
        self._sqs = emulator.client("sqs")
        self._pages = self._subscribe()

    def release(self, version: str) -> str:
        """Push an image and deploy two tasks of a definition with it; return the definition's name."""
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 10}
        digest = f"sha256:{int(version.lstrip('v')):064x}"
        manifest = {
            "schemaVersion": 2, "mediaType": _MANIFEST, "config": {**config, "digest": digest}, "layers": [],
        }  # fmt: skip
        pushed = self._ecr.put_image(
            repositoryName=REPOSITORY, imageManifest=json.dumps(manifest), imageTag=version,
            imageManifestMediaType=_MANIFEST,
        )  # fmt: skip
        self.digests[version] = pushed["image"]["imageId"]["imageDigest"]
        described = self._ecs.describe_task_definition(taskDefinition=self._service()["taskDefinition"])
        old = described["taskDefinition"]
        containers = old["containerDefinitions"]
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:{version}"
        next(c for c in containers if c["name"] == SERVICE)["image"] = image
        kept_members = {name: old[name] for name in _KEPT if name in old}
        registered = self._ecs.register_task_definition(**kept_members, containerDefinitions=containers)
        arn: str = registered["taskDefinition"]["taskDefinitionArn"]
        self._ecs.update_service(cluster=CLUSTER, service=ECS_SERVICE, taskDefinition=arn, desiredCount=2)
        return arn.rpartition("/")[2]

    def register_targets(self) -> None:
        """Register two healthy targets, as ECS registers its tasks."""
        group = self._elb.describe_target_groups()["TargetGroups"][0]
        targets = [{"Id": f"127.0.0.{n}", "Port": 8080} for n in (1, 2)]
        self._elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=targets)

    def serve(self) -> None:
        """Put a metric of 100 requests, as the load balancer does."""
        group = self._elb.describe_target_groups()["TargetGroups"][0]
        names = {
            "TargetGroup": group["TargetGroupArn"].split(":", 5)[5],
            "LoadBalancer": group["LoadBalancerArns"][0].split(":", 5)[5].removeprefix("loadbalancer/"),
        }
        dimensions = [{"Name": name, "Value": value} for name, value in names.items()]
        counted = {"MetricName": "RequestCount", "Dimensions": dimensions, "Value": 100.0, "Unit": "Count"}
        data = [{**counted, "Timestamp": datetime.now(UTC)}]
        self._cloudwatch.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=data)

    def running(self) -> tuple[str, int]:
        """Return the definition that PRIMARY runs, and the number of its tasks."""
        service = self._service()
        primary = next(d for d in service["deployments"] if d["status"] == "PRIMARY")
        return primary["taskDefinition"].rpartition("/")[2], primary["runningCount"]

    def image(self) -> str:
        """Return the image that PRIMARY runs."""
        described = self._ecs.describe_task_definition(taskDefinition=self._service()["taskDefinition"])
        containers = described["taskDefinition"]["containerDefinitions"]
        return str(next(c for c in containers if c["name"] == SERVICE)["image"])

    def set_alarm(self, name: str, state: str) -> None:
        """Set the state of a leaf alarm; composites follow by their rules."""
        full = f"{PREFIX}-{SERVICE}-{name}"
        self._cloudwatch.set_alarm_state(AlarmName=full, StateValue=state, StateReason="the referee")

    def alarm(self, name: str) -> str:
        """Return the state of a composite alarm."""
        described = self._cloudwatch.describe_alarms(
            AlarmNames=[f"{PREFIX}-{SERVICE}-{name}"], AlarmTypes=["CompositeAlarm"]
        )
        return str(described["CompositeAlarms"][0]["StateValue"])

    def executions(self, machine: str) -> list[dict[str, Any]]:
        """List the executions of `rollback` or `promotion`, the newest first."""
        listed: list[dict[str, Any]] = self._states.list_executions(stateMachineArn=self.machine(machine))["executions"]
        return sorted(listed, key=lambda e: e["startDate"], reverse=True)

    def execution(self, listed: dict[str, Any]) -> dict[str, Any]:
        """Describe a listed execution: its input, output, error and cause."""
        described: dict[str, Any] = self._states.describe_execution(executionArn=listed["executionArn"])
        return described

    def machine(self, name: str) -> str:
        """Return the ARN of one of our state machines."""
        return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{PREFIX}-{name}"

    def wait_until_ended(self, machine: str, count: int) -> dict[str, Any]:
        """Wait until `count` executions have ended, and return the newest."""

        def probe() -> dict[str, Any] | None:
            listed = self.executions(machine)
            return listed[0] if len(listed) >= count and _have_all_ended(listed) else None

        return wait_for(probe, f"execution {count} of {machine} ends")

    def is_over(self, machine: str) -> bool:
        """Whether a machine has executions and none of them is running."""
        listed = self.executions(machine)
        return bool(listed) and _have_all_ended(listed)

    def wait_until_baked(self, count: int) -> dict[str, Any]:
        """Serve requests until `count` promotions have ended, and return the newest execution."""

        def probe() -> dict[str, Any] | None:
            self.serve()
            listed = self.executions("promotion")
            return listed[0] if len(listed) >= count and _have_all_ended(listed) else None

        return wait_for(probe, f"promotion {count} ends")

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the installed `rollback`; its `stdout` holds standard output and standard error."""
        command = [str(Path(sys.executable).parent / "rollback"), *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.emulator.environment(), check=False, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def start(self, reason: str) -> str:
        """Start a rollback as the console of Step Functions does; return the execution's ARN."""
        parameters = {"stateMachineArn": self.machine("rollback"), "input": json.dumps({"reason": reason})}
        return str(self._states.start_execution(**parameters)["executionArn"])

    def pages(self) -> list[str]:
        """Receive the messages that were published to the topics since the last call."""
        pages: list[str] = []
        while messages := self._sqs.receive_message(QueueUrl=self._pages, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                pages.append(json.loads(message["Body"])["Message"])
                self._sqs.delete_message(QueueUrl=self._pages, ReceiptHandle=message["ReceiptHandle"])
        return pages

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        """Read the service's documents of the ledger by DynamoDB's API; `kind` begins their sort keys."""
        table = self.emulator.client("dynamodb")
        answer = table.query(
            TableName=f"{PREFIX}-rollback-ledger",
            KeyConditionExpression="pk = :service AND begins_with(sk, :kind)",
            ExpressionAttributeValues={":service": {"S": f"SERVICE#{SERVICE}"}, ":kind": {"S": kind}},
        )
        return [json.loads(item["body"]["S"]) for item in answer["Items"]]

    def policies(self) -> dict[str, list[dict[str, Any]]]:
        """Map each role of the rollback stack to its inline policies, as CloudFormation resolved them."""
        roles = [r["RoleName"] for r in self._iam.list_roles()["Roles"] if "Rollback" in r["RoleName"]]
        return {role: [self._policy(role, name) for name in self._names(role)] for role in roles}

    @contextmanager
    def without(self, action: str) -> Iterator[set[str]]:
        """Revoke an action from every role that has it by name, until the context ends; yield these roles."""
        original_policies = self._revoke(action)
        try:
            yield {role for role, _ in original_policies}
        finally:
            for (role, name), document in original_policies.items():
                self._put(role, name, document)

    def _revoke(self, action: str) -> dict[tuple[str, str], dict[str, Any]]:
        changed = {}
        for role in self.policies():
            for name in self._names(role):
                document = self._policy(role, name)
                kept_statements = [s for statement in document["Statement"] if (s := _without(statement, action))]
                if kept_statements != document["Statement"]:
                    self._put(role, name, {**document, "Statement": kept_statements})
                    changed[role, name] = document
        return changed

    def _put(self, role: str, name: str, document: dict[str, Any]) -> None:
        self._iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    def _subscribe(self) -> str:
        queue = self._sqs.create_queue(QueueName="pages")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:pages"
        sender = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}}
        policy = {"Version": "2012-10-17", "Statement": [{**sender, "Action": "sqs:SendMessage", "Resource": arn}]}
        self._sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
        sns = self.emulator.client("sns")
        for topic in sns.list_topics()["Topics"]:
            sns.subscribe(TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint=arn)
        return str(queue)

    def _names(self, role: str) -> list[str]:
        names: list[str] = self._iam.list_role_policies(RoleName=role)["PolicyNames"]
        return names

    def _policy(self, role: str, name: str) -> dict[str, Any]:
        document: dict[str, Any] = self._iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        return document

    def _service(self) -> dict[str, Any]:
        described = self._ecs.describe_services(cluster=CLUSTER, services=[ECS_SERVICE])
        service: dict[str, Any] = described["services"][0]
        return service


def _have_all_ended(executions: list[dict[str, Any]]) -> bool:
    """Whether no execution of one list is running. A second list could show an end that the first does not."""
    return all(execution["status"] != "RUNNING" for execution in executions)


def _without(statement: dict[str, Any], action: str) -> dict[str, Any] | None:
    """Remove an action from a statement; None if the statement has no other."""
    actions = statement.get("Action", [])
    kept_actions = [a for a in (actions if isinstance(actions, list) else [actions]) if a != action]
    return {**statement, "Action": kept_actions} if kept_actions else None
