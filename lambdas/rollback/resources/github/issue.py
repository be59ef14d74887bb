"""Issues and their comments (https://docs.github.com/en/rest/issues)."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator

BODY_LIMIT = 65_536  # characters of an issue or a comment; GitHub answers 422: "body is too long"
TITLE_LIMIT = 256  # characters; GitHub answers 422: "title is too long"


class Issue(BaseModel):
    """An issue as GitHub returns it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    title: str
    body: str = ""
    state: Literal["open", "closed"]
    labels: tuple[str, ...] = ()
    created_at: AwareDatetime
    is_pull_request: bool = False

    @field_validator("body", mode="before")
    @classmethod
    def _absent_is_empty(cls, body: object) -> object:
        return "" if body is None else body

    @field_validator("labels", mode="before")
    @classmethod
    def _names(cls, labels: object) -> object:
        """Take the names: GitHub returns objects, and texts in old answers."""
        if not isinstance(labels, list):
            return labels
        return tuple(label.get("name") or "" if isinstance(label, dict) else label for label in labels)

    @classmethod
    def of_answer(cls, answer: dict[str, Any]) -> "Issue":
        """Parse an answer. GitHub lists pull requests among issues, with the member `pull_request`."""
        return cls.model_validate({**answer, "is_pull_request": answer.get("pull_request") is not None})


class IssueContent(BaseModel):
    """Content of an issue that this product writes."""

    model_config = ConfigDict(frozen=True)

    title: str
    body: str
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()


class Comment(BaseModel):
    """A comment of an issue."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    body: str = ""

    @field_validator("body", mode="before")
    @classmethod
    def _absent_is_empty(cls, body: object) -> object:
        return "" if body is None else body
