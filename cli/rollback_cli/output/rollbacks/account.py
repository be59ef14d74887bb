"""`rollback report`: the written account of a rollback as data."""

from typing import Literal

from pydantic import Field

from rollback.reports.document.model import ReportDocument


class CliReport(ReportDocument):
    """Output of `rollback report`: the fields of the stored account, and the version of this form."""

    schema_version: Literal[1] = Field(default=1, description="version of this form; docs/output.md")

    @classmethod
    def of(cls, document: ReportDocument) -> "CliReport":
        """Add the version to an account."""
        return cls.model_validate(dict(document))
