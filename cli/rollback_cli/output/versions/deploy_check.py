"""`rollback check-deploy`: whether an image may be deployed."""

from pydantic import Field

from rollback_cli.output.document import Document, Line


class DeployCheck(Document):
    """Output of `rollback check-deploy`."""

    environment: Line
    service: Line
    image: Line = Field(description="image as it was named")
    is_allowed: bool
    reason: Line
