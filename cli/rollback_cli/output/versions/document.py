"""The document of `rollback versions`: the releases of the ledger, joined with what ECS runs and what ECR has."""

from pydantic import AwareDatetime, Field

from rollback_cli.output.document import Document, Line, NotRead, Part


class ContainerImage(Part):
    """An image of a release."""

    container: Line
    image: Line = Field(description="image as the ledger has it, by digest if the digest is known")
    status: Line = Field(description="available, archived, missing or not looked at")
    reason: Line = Field(description="why ECS can't pull the image, or why ECR was not asked; else empty")


class ListedRelease(Part):
    """A release of a service."""

    name: Line = Field(description="name that means this release only, ready to paste after --target-version")
    version: Line
    fingerprint: Line = Field(description="identity of the release: 64 hexadecimal digits")
    commit: Line | None = Field(description="git commit; null: not known")
    state: Line = Field(description="candidate, promoted (good), suspect or quarantined")
    state_since: AwareDatetime
    reason: Line = Field(description="why the release has its state")
    first_deployed_at: AwareDatetime
    is_running: bool | None = Field(description="null: ECS was not asked with success, see `not_read`")
    is_rollback_target: bool | None = Field(description="last known good; null: it is not known what runs")
    has_schema: bool = Field(description="whether the schema of the database was recorded for the release")
    image_status: Line = Field(
        description="status of the service's own image; of another image, if ECS can't pull that one"
    )
    images: tuple[ContainerImage, ...]


class ServiceVersions(Part):
    """The releases of one service, newest first."""

    service: Line
    running_fingerprint: Line | None = Field(description="null: not known, see `not_read`")
    releases: tuple[ListedRelease, ...]
    has_more: bool = Field(description="the ledger has older releases than those listed")
    not_read: tuple[NotRead, ...] = ()


class Versions(Document):
    """Output of `rollback versions`."""

    environment: Line
    limit: int
    services: tuple[ServiceVersions, ...]
