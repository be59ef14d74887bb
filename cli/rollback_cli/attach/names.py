"""Names that `rollback init` reads: of services, clusters, images, environments and secrets' variables."""

import re
from dataclasses import dataclass

from rollback.errors import InvalidRequest
from rollback.text import quoted

_SERVICE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):ecs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):service/"
    r"(?:(?P<cluster>[A-Za-z0-9_-]{1,255})/)?(?P<name>[A-Za-z0-9_-]{1,255})"
)
_CLUSTER_ARN = re.compile(r"arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:cluster/(?P<name>[A-Za-z0-9_-]{1,255})")
_ECS_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)  # CreateCluster, CreateService
# The domain is amazonaws.com, amazonaws.com.cn and amazonaws.eu by partition, and on.aws for dual-stack addresses.
_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>[a-z.]+)/(?P<name>[^:@]+)(?:[:@].+)?"
)
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_OUR_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class ServiceName:
    """Cluster and name of an ECS service."""

    cluster: str
    ecs_service: str


@dataclass(frozen=True)
class ServicePlace:
    """Account, region and partition of an ECS service, from its ARN."""

    partition: str
    region: str
    account: str


@dataclass(frozen=True)
class EcrRepository:
    """Private ECR repository of an image."""

    account: str
    region: str
    name: str
    domain: str = "amazonaws.com"

    @property
    def uri(self) -> str:
        """URI without a tag."""
        return f"{self.account}.dkr.ecr.{self.region}.{self.domain}/{self.name}"

    def is_in(self, place: ServicePlace) -> bool:
        """Whether the repository is in this account and region."""
        return (self.account, self.region) == (place.account, place.region)


def parse_service(cluster: str | None, service: str) -> ServiceName:
    """Parse the options --cluster and --service, each a name or an ARN.

    Raises:
        InvalidRequest: one of them is neither, or no cluster is named, or the two differ.
    """
    named_cluster = parse_cluster(cluster) if cluster is not None else None
    arn = _SERVICE_ARN.fullmatch(service)
    if arn is None and _ECS_NAME.fullmatch(service) is None:
        raise InvalidRequest(f"--service is {quoted(service)}; give the name or the ARN of an ECS service")
    in_arn = arn["cluster"] if arn is not None else None
    if named_cluster and in_arn and named_cluster != in_arn:
        raise InvalidRequest(f"--service is in cluster {in_arn}, and --cluster is {named_cluster}; give one of them")
    found_cluster = named_cluster or in_arn
    if found_cluster is None:
        raise InvalidRequest(f"the cluster of service {quoted(service)} is not known; add --cluster NAME")
    return ServiceName(found_cluster, arn["name"] if arn is not None else service)


def parse_cluster(cluster: str) -> str:
    """Return the name in a cluster's name or ARN.

    Raises:
        InvalidRequest: the text is neither.
    """
    arn = _CLUSTER_ARN.fullmatch(cluster)
    if arn is None and _ECS_NAME.fullmatch(cluster) is None:
        raise InvalidRequest(f"--cluster is {quoted(cluster)}; give the name or the ARN of an ECS cluster")
    return arn["name"] if arn is not None else cluster


def place_of(service_arn: str) -> ServicePlace:
    """Return where a service is.

    Raises:
        InvalidRequest: the text is no ARN of a service.
    """
    arn = _SERVICE_ARN.fullmatch(service_arn)
    if arn is None:
        raise InvalidRequest(f"ECS answered with the service ARN {quoted(service_arn)}, whose format is not known")
    return ServicePlace(arn["partition"], arn["region"], arn["account"])


def parse_image(image: str) -> EcrRepository | None:
    """Return the private ECR repository of an image; None: another registry has the image."""
    uri = _ECR_IMAGE.fullmatch(image)
    return EcrRepository(uri["account"], uri["region"], uri["name"], uri["domain"]) if uri is not None else None


def check_environment(name: str) -> str:
    """Return the name of an environment.

    Raises:
        InvalidRequest: the settings would refuse the name.
    """
    if _ENVIRONMENT.fullmatch(name) is None:
        raise InvalidRequest(
            f"--environment is {quoted(name)}; allowed are lower-case words and digits joined by hyphens, "
            "such as production or eu-staging"
        )
    return name


def service_label(name: str | None, ecs_service: str) -> str:
    """Return this product's name of the service: the option --name, or one made from the name in ECS.

    Raises:
        InvalidRequest: the option has a wrong format, or no name can be made.
    """
    if name is not None:
        if _OUR_NAME.fullmatch(name) is None:
            raise InvalidRequest(f"--name is {quoted(name)}; allowed are lower-case letters, digits and hyphens")
        return name
    label = re.sub("[^a-z0-9]+", "-", ecs_service.lower()).strip("-")
    if not label:
        raise InvalidRequest(f"no name can be made from {quoted(ecs_service)}; add --name NAME")
    return label
