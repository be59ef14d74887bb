"""Recipients of pages and reports: subscriptions of the topics that the stack creates itself.

A subscription by mail or HTTPS is pending until the recipient confirms it; `rollback doctor` names those that are not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, field_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

ALLOWED_ADDRESSES = "allowed is mailto:<address>, https://<host>/<path> or sms:+<country code and number>"
_MAIL = re.compile(r"[^@\s,;?&<>\"]+@[^@\s,;?&<>\"]+\.[A-Za-z0-9-]{2,}", re.ASCII)
_PHONE_NUMBER = re.compile(r"\+[1-9]\d{4,14}", re.ASCII)  # E.164, as SNS wants it
_ADDRESS_PATTERN = "^(mailto:.+@.+|https://.+|sms:\\+[1-9][0-9]+)$"  # for editors; the validator is stricter


class TopicName(StrEnum):
    """Topics that a recipient may subscribe to."""

    CRITICAL = "critical"
    ROLLBACKS = "rollbacks"


def protocol_and_endpoint(address: str) -> tuple[str, str]:
    """Return SNS's protocol and endpoint of an address, `mailto:…`, `https://…` or `sms:+…`.

    Raises:
        ValueError: SNS could not deliver to it; the message says what is allowed.
    """
    scheme, _, rest = address.partition(":")
    match scheme.lower():
        case "mailto" if _MAIL.fullmatch(rest):
            return "email", rest
        case "sms" if _PHONE_NUMBER.fullmatch(rest):
            return "sms", rest
        case "https" if _is_endpoint(address):
            return "https", address
        case _:
            raise ValueError(ALLOWED_ADDRESSES)


def _is_endpoint(url: str) -> bool:
    """Return whether SNS may post to a URL. It may have the key of a pager; a password is refused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_plain = url.isprintable() and not re.search(r"[\s\\]", url) and not parts.fragment
    return is_plain and bool(parts.hostname) and parts.username is None and port != 0


class Recipient(BaseModel):
    """One address, and the topics whose messages it gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: str = Field(description="`mailto:…`, `https://…` or `sms:+…`", json_schema_extra={"pattern": _ADDRESS_PATTERN})
    topics: tuple[TopicName, ...] = Field(
        default=(TopicName.CRITICAL,),
        min_length=1,
        description="`critical` has what needs an operator now, `rollbacks` has the report of every rollback",
    )

    @field_validator("to")
    @classmethod
    def _is_address(cls, address: str) -> str:
        protocol_and_endpoint(address)
        return address

    @property
    def protocol(self) -> str:
        """SNS's protocol."""
        return protocol_and_endpoint(self.to)[0]

    @property
    def endpoint(self) -> str:
        """SNS's endpoint."""
        return protocol_and_endpoint(self.to)[1]


def _from_address(value: Any) -> Any:
    """Take an address alone for a recipient of the critical topic."""
    if isinstance(value, Mapping | Recipient):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{ALLOWED_ADDRESSES}, or {{to, topics}}")
    protocol_and_endpoint(value)
    return {"to": value}


class _AddressOrObject:
    """Adds an address alone to the JSON Schema of a recipient, since validation takes one too."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        description = "address of a recipient of the topic `critical`"
        address = {"type": "string", "pattern": _ADDRESS_PATTERN, "description": description}
        return {"anyOf": [address, handler(core)]}


AddressOrRecipient = Annotated[Recipient, BeforeValidator(_from_address), _AddressOrObject]


def find_repeated_recipients(recipients: Sequence[Recipient]) -> Iterator[str]:
    """Yield the address and topic that several recipients have: SNS has one subscription for both."""
    known: set[tuple[str, TopicName]] = set()
    for recipient in recipients:
        for topic in recipient.topics:
            subscription = (recipient.to.lower(), topic)
            if subscription in known:
                yield f"{recipient.to} for the topic {topic.value}"
            known.add(subscription)


def by_topic(recipients: Sequence[Recipient]) -> Mapping[TopicName, tuple[Recipient, ...]]:
    """Map each topic to its recipients."""
    return {topic: tuple(one for one in recipients if topic in one.topics) for topic in TopicName}
