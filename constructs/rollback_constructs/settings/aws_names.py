"""Names of AWS resources in the settings: an ARN, a URI or a name becomes the one form that templates and IAM need.

The formats of the ARNs are those of the Service Authorization Reference, "Resource types defined by" each service.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import boto3

from rollback_constructs.settings.errors import nearest, quote_value

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d{12}|aws)?:(?P<rest>.+)"
)
_ECR_URI = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.[a-z.]+|on\.aws|amazonaws\.eu)"
    r"/(?P<name>[^:@]+)(?:[:@].+)?"
)
_SQS_URL = re.compile(
    r"https://(?:sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)|(?P<legacy>[a-z0-9-]+)\.queue)\."
    r"(?:amazonaws\.[a-z.]+|api\.aws|api\.amazonwebservices\.com\.cn|amazonaws\.eu)/(?P<account>\d{12})/(?P<name>[^/]+)"
)  # AWS general reference, "Amazon SQS endpoints and quotas", with the legacy endpoints
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_ECS_NAME = r"[A-Za-z0-9_-]{1,255}"  # CreateCluster and CreateService: letters, numbers, underscores, and hyphens
_ELB_NAME = r"[A-Za-z0-9-]{1,32}/[0-9a-f]{16}"
_QUEUE_NAME = r"(?=.{1,80}$)[A-Za-z0-9_-]+(?:\.fifo)?"  # CreateQueue, `QueueName`; the suffix counts
_ALARM_NAME = r"[^\x00-\x1f\x7f\"\\]{1,255}"  # a quote or backslash would end the name in a rule of a composite alarm


class Kind(StrEnum):
    """Kinds of resources that a setting names."""

    CLUSTER = "an ECS cluster"
    ECS_SERVICE = "an ECS service"
    LOAD_BALANCER = "an Application or Network Load Balancer"
    TARGET_GROUP = "a target group"
    LOG_GROUP = "a log group"
    REPOSITORY = "an ECR repository"
    STACK = "a CloudFormation stack"
    ROLE = "an IAM role"
    SECRET = "a secret of Secrets Manager"  # noqa: S105 - the name of a kind
    CERTIFICATE = "a certificate"
    KEY = "a KMS key"
    QUEUE = "an SQS queue"
    ALARM = "a CloudWatch alarm"


@dataclass(frozen=True)
class _Format:
    """Format of one kind.

    Attributes:
        service: service in its ARN.
        resource: last part of its ARN, with a group `name`.
        name: format of the name, if a setting may have a name in place of the ARN.
        example: example of what is allowed.
        keeps_arn: whether the normal form is the ARN.
    """

    service: str
    resource: str
    example: str
    name: str | None = None
    keeps_arn: bool = False


_FORMATS: Mapping[Kind, _Format] = {
    Kind.CLUSTER: _Format("ecs", rf"cluster/(?P<name>{_ECS_NAME})", "its name or its ARN", _ECS_NAME),
    Kind.ECS_SERVICE: _Format(
        "ecs", rf"service/(?:(?P<cluster>{_ECS_NAME})/)?(?P<name>{_ECS_NAME})", "its name or its ARN", _ECS_NAME
    ),
    Kind.LOAD_BALANCER: _Format(
        "elasticloadbalancing",
        rf"loadbalancer/(?P<name>(?:app|net)/{_ELB_NAME})",
        "its ARN, app/<name>/<16 hexadecimal digits> or net/<name>/<16 hexadecimal digits>",
        rf"(?:app|net)/{_ELB_NAME}",
    ),
    Kind.TARGET_GROUP: _Format(
        "elasticloadbalancing",
        rf"(?P<name>targetgroup/{_ELB_NAME})",
        "its ARN or targetgroup/<name>/<16 hexadecimal digits>",
        rf"targetgroup/{_ELB_NAME}",
    ),
    Kind.LOG_GROUP: _Format(
        "logs", r"log-group:(?P<name>[\w./#-]{1,512})(?::\*)?", "its name or its ARN", r"[A-Za-z0-9._/#-]{1,512}"
    ),
    Kind.REPOSITORY: _Format(
        "ecr", r"repository/(?P<name>[a-z0-9._/-]{2,256})", "its name, URI or ARN", r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    ),
    Kind.STACK: _Format(
        "cloudformation",
        r"stack/(?P<name>[A-Za-z][A-Za-z0-9-]{0,127})/.+",
        "its name or its ARN",
        r"[A-Za-z][A-Za-z0-9-]{0,127}",
    ),
    Kind.ROLE: _Format("iam", r"role/(?P<name>[\w+=,.@/-]+)", "arn:aws:iam::<account>:role/<name>", keeps_arn=True),
    Kind.SECRET: _Format(
        "secretsmanager",
        r"secret:(?P<name>.+)",
        "arn:aws:secretsmanager:<region>:<account>:secret:<name>",
        keeps_arn=True,
    ),
    Kind.CERTIFICATE: _Format(
        "acm", r"certificate/(?P<name>.+)", "arn:aws:acm:<region>:<account>:certificate/<id>", keeps_arn=True
    ),
    Kind.KEY: _Format("kms", r"key/(?P<name>[\w-]+)", "arn:aws:kms:<region>:<account>:key/<id>", keeps_arn=True),
    Kind.QUEUE: _Format("sqs", rf"(?P<name>{_QUEUE_NAME})", "its name, URL or ARN", _QUEUE_NAME),
    Kind.ALARM: _Format("cloudwatch", rf"alarm:(?P<name>{_ALARM_NAME})", "its name or its ARN", _ALARM_NAME),
}
_IN_ANY_ACCOUNT = frozenset({Kind.KEY, Kind.CERTIFICATE})  # a key's own policy may allow another account
_ANYWHERE = frozenset({Kind.REPOSITORY})  # ECS pulls from any account and region


@dataclass(frozen=True)
class ResourceName:
    """A resource that a setting names.

    Attributes:
        name: normal form of the name.
        partition, region, account: from its ARN or URI; None: the text has none.
        cluster: the cluster in the ARN of an ECS service.
    """

    name: str
    partition: str | None = None
    region: str | None = None
    account: str | None = None
    cluster: str | None = None


def parse_name(kind: Kind, text: str) -> ResourceName:
    """Parse a name, an ARN or, for a repository or a queue, a URI.

    Raises:
        ValueError: the text names no resource of this kind; the message says what is allowed.
    """
    form = _FORMATS[kind]
    if kind is Kind.REPOSITORY and (uri := _ECR_URI.fullmatch(text)) is not None:
        if re.fullmatch(form.name or "", uri["name"], re.ASCII) is None:
            raise ValueError(f"allowed is {kind}: {form.example}")
        return ResourceName(uri["name"], region=uri["region"], account=uri["account"])
    if kind is Kind.QUEUE and (url := _SQS_URL.fullmatch(text)) is not None:
        if re.fullmatch(_QUEUE_NAME, url["name"], re.ASCII) is None:
            raise ValueError(f"allowed is {kind}: {form.example}")
        return ResourceName(url["name"], region=url["region"] or url["legacy"], account=url["account"])
    if (arn := _ARN.fullmatch(text)) is not None:
        resource = re.fullmatch(form.resource, arn["rest"], re.ASCII) if arn["service"] == form.service else None
        if resource is None:
            raise ValueError(f"allowed is {kind}: {form.example}{_explain(kind, arn['rest'])}")
        return ResourceName(
            text if form.keeps_arn else resource["name"],
            arn["partition"],
            arn["region"] or None,
            arn["account"],
            resource.groupdict().get("cluster"),
        )
    if form.name is None or re.fullmatch(form.name, text, re.ASCII) is None:
        raise ValueError(f"allowed is {kind}: {form.example}{_explain(kind, text)}")
    return ResourceName(text)


def _explain(kind: Kind, text: str) -> str:
    if kind is Kind.LOAD_BALANCER and text.removeprefix("loadbalancer/").startswith("gwy/"):
        return "; a Gateway Load Balancer stands before appliances, not before an ECS service"
    if kind is Kind.ALARM and re.search(r'["\\]', text):
        return ", without quotes and backslashes, which the rule of a composite alarm can't have: rename the alarm"
    return ""


@dataclass(frozen=True)
class _Setting:
    """A setting that names resources, by the keys that lead to the setting; `*` stands for each element of a list."""

    path: tuple[str, ...]
    kind: Kind


_SETTINGS = tuple(
    _Setting(tuple(path.split(".")), kind)
    for path, kind in {
        "services.*.cluster": Kind.CLUSTER,
        "services.*.ecs_service": Kind.ECS_SERVICE,
        "services.*.stack": Kind.STACK,
        "services.*.existing.load_balancer": Kind.LOAD_BALANCER,
        "services.*.existing.target_groups.*": Kind.TARGET_GROUP,
        "services.*.existing.load_balancers.*.load_balancer": Kind.LOAD_BALANCER,
        "services.*.existing.load_balancers.*.target_groups.*": Kind.TARGET_GROUP,
        "services.*.existing.log_group": Kind.LOG_GROUP,
        "services.*.existing.task_role_arns.*": Kind.ROLE,
        "services.*.existing.execution_role_arns.*": Kind.ROLE,
        "services.*.queues.*.queue": Kind.QUEUE,
        "services.*.extra_alarms.*.alarm": Kind.ALARM,
        "services.*.workload.log_group": Kind.LOG_GROUP,
        "services.*.workload.repository": Kind.REPOSITORY,
        "services.*.workload.certificate_arn": Kind.CERTIFICATE,
        "services.*.workload.secrets.*": Kind.SECRET,
        "database.api_key_secret_arn": Kind.SECRET,
        "database.connection_secret_arn": Kind.SECRET,
        "chat.webhook.url_secret_arn": Kind.SECRET,
        "chat.webhook.signing_secret_arn": Kind.SECRET,
        "keys.ledger": Kind.KEY,
        "keys.topics": Kind.KEY,
        "keys.reports": Kind.KEY,
        "keys.logs": Kind.KEY,
        "keys.approvals": Kind.KEY,
        "keys.secrets.*": Kind.KEY,
        # last, when the account and the region of the environment are known
        "services.*.existing.repository": Kind.REPOSITORY,
        "services.*.existing.sidecar_repositories.*": Kind.REPOSITORY,
    }.items()
)


class _Normaliser:
    """Normalises the names of one environment, and compares where their resources are."""

    def __init__(self, name: str, environment: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        self._prefix = f"environments.{name}"
        account, region = environment.get("account"), environment.get("region")
        self._account = account if isinstance(account, str) and _ACCOUNT.fullmatch(account) else None
        self._partition = partition_of(region) if isinstance(region, str) else None
        self._region = region if self._partition is not None else None
        self._origins = {
            "account": f"{self._prefix}.account",
            "region": f"{self._prefix}.region",
            "partition": f"{self._prefix}.region",
        }

    def replace(self, value: Any, path: str, kind: Kind) -> Any:
        """Return the normal form of a value; a wrong value is returned as it is, and noted."""
        if not isinstance(value, str):
            return value  # the model tells the wrong type
        try:
            resource = parse_name(kind, value)
        except ValueError as error:
            quoted = "empty" if value == "" else quote_value(value)
            self.problems.append(f"{self._prefix}.{path} is {quoted}; {error}")
            return value
        if kind in _ANYWHERE:
            return self._name_or_arn(kind, resource)
        self._compare(path, kind, resource)
        return resource.name

    def _name_or_arn(self, kind: Kind, resource: ResourceName) -> str:
        """Return the name of a resource of the environment's account and region, else the ARN."""
        account, region = resource.account, resource.region
        if account is None or (account == (self._account or account) and region == self._region):
            return resource.name
        partition = resource.partition or partition_of(region or "") or self._partition or "aws"
        return f"arn:{partition}:{_FORMATS[kind].service}:{region}:{account}:repository/{resource.name}"

    def _compare(self, path: str, kind: Kind, resource: ResourceName) -> None:
        """Compare account, region and partition with the environment's, or with those of the first resource."""
        places = {"partition": resource.partition, "region": resource.region}
        if kind not in _IN_ANY_ACCOUNT:
            places["account"] = resource.account
        for place, value in places.items():
            if value is None:
                continue
            known = getattr(self, f"_{place}")
            if known is None:
                setattr(self, f"_{place}", value)
                self._origins[place] = f"{self._prefix}.{path}"
            elif known != value:
                self.problems.append(
                    f"{self._prefix}.{path} is {kind} in {place} {value}; {self._origins[place]} is in {known}: an "
                    "environment has one account and one region"
                )
                return


def normalise_names(name: str, environment: Any) -> tuple[Any, list[str]]:
    """Replace each name of an AWS resource in an environment's settings by its normal form.

    Args:
        name: name of the environment.
        environment: its settings as `cdk.json` has them, not validated yet.

    Returns:
        The settings, and a line for each wrong name.
    """
    if not isinstance(environment, Mapping):
        return environment, []
    normaliser = _Normaliser(name, environment)
    clusters = _clusters_in_service_arns(environment)
    for setting in _SETTINGS:
        environment = _replace(environment, setting.path, (), setting.kind, normaliser.replace)
    problems = [*normaliser.problems, *_compare_clusters(name, environment, clusters)]
    return environment, problems


def _replace(
    value: Any, path: tuple[str, ...], walked: tuple[str, ...], kind: Kind, replace: Callable[[Any, str, Kind], Any]
) -> Any:
    if not path:
        return replace(value, ".".join(walked), kind)
    key, rest = path[0], path[1:]
    if key == "*" and isinstance(value, list | tuple):
        return [_replace(item, rest, (*walked, str(n)), kind, replace) for n, item in enumerate(value)]
    if key == "*" and isinstance(value, Mapping):
        return {name: _replace(item, rest, (*walked, str(name)), kind, replace) for name, item in value.items()}
    if isinstance(value, Mapping) and value.get(key) is not None:
        return {**value, key: _replace(value[key], rest, (*walked, key), kind, replace)}
    return value


def _clusters_in_service_arns(environment: Mapping[str, Any]) -> dict[int, str]:
    """Map the position of each service to the cluster that the ARN of its ECS service names."""
    clusters: dict[int, str] = {}
    services = environment.get("services")
    for position, service in enumerate(services if isinstance(services, list | tuple) else ()):
        text = service.get("ecs_service") if isinstance(service, Mapping) else None
        if not isinstance(text, str):
            continue
        try:
            cluster = parse_name(Kind.ECS_SERVICE, text).cluster
        except ValueError:
            continue  # told by the normaliser
        if cluster is not None:
            clusters[position] = cluster
    return clusters


def _compare_clusters(name: str, environment: Mapping[str, Any], clusters: Mapping[int, str]) -> Iterable[str]:
    for position, cluster in clusters.items():
        described = environment["services"][position].get("cluster")
        if isinstance(described, str) and described != cluster:
            yield (
                f"environments.{name}.services.{position}.ecs_service is in cluster {cluster}; "
                f"environments.{name}.services.{position}.cluster is {described!r}"
            )


@lru_cache(maxsize=1)
def _partitions() -> Mapping[str, str]:
    """Map each region of AWS that botocore knows to its partition."""
    session = boto3.Session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ecs", partition_name=partition)
    }


def partition_of(region: str) -> str | None:
    """Return the partition of a region; None: botocore knows no such region."""
    return _partitions().get(region)


def explain_unknown_region(region: str) -> str:
    """Say what is allowed in place of a region that botocore doesn't know."""
    suggestion = nearest(region, _partitions())
    did_you_mean = f"; did you mean {suggestion}?" if suggestion else ""
    return f"allowed is a region of AWS with Amazon ECS{did_you_mean}"
