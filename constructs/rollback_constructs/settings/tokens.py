"""CDK tokens in settings: each is validated as a stand-in of the right form, and comes back afterwards.

A token is text such as `${Token[TOKEN.12]}` for a value that CloudFormation knows at deployment only, so its form can't
be validated at synthesis.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

Model = TypeVar("Model", bound=BaseModel)

_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):[a-z0-9-]*:(?P<region>[a-z0-9-]*):(?P<account>\d{12})")
_UNKNOWN_ACCOUNT, _UNKNOWN_REGION, _UNKNOWN_PARTITION = "123456789012", "us-east-1", "aws"
# Sixteen hexadecimal digits, a letter first, are a name of every kind, a part of a URL and the id of a load balancer.
_FIRST_NUMBER = 0xCD_00_00_00_00_00_00_00
_ARN_FORMS = (
    (re.compile(r"role_arns?$"), "arn:{partition}:iam::{account}:role/{name}"),
    (re.compile(r"secret_arns?$"), "arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"),
    (re.compile(r"^keys\."), "arn:{partition}:kms:{region}:{account}:key/{name}"),
)


@dataclass
class TokenStandIns:
    """Stand-ins of the tokens in one set of settings.

    Attributes:
        region: region of the stack; None: unknown at synthesis.
        account: account of the stack; None: unknown at synthesis.
        partition: partition of the region; None: unknown at synthesis.
    """

    region: str | None
    account: str | None
    partition: str | None
    _stand_ins: dict[tuple[str, str], str] = field(default_factory=dict)

    def replace(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings with a stand-in for each token; equal tokens have equal stand-ins."""
        literal = _ARN.search(json.dumps(settings, default=str))
        self.partition = self.partition or (literal["partition"] if literal is not None else _UNKNOWN_PARTITION)
        self.account = self.account or (literal["account"] if literal is not None else _UNKNOWN_ACCOUNT)
        self.region = self.region or (literal["region"] if literal is not None else None) or _UNKNOWN_REGION
        replaced: dict[str, Any] = self._replace(settings, "")
        return replaced

    def restore(self, model: Model) -> Model:
        """Return a validated model with the tokens in the places of their stand-ins, without another validation."""
        restored: Model = self._restore(model)
        return restored

    def describe(self, message: str) -> str:
        """Return a message that says in place of each stand-in that the value is not known yet."""
        for stand_in, _ in self._texts():
            message = message.replace(stand_in, "<known at deployment>")
        return message

    def _replace(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return {key: self._replace(inner, f"{path}.{key}".removeprefix(".")) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._replace(inner, path) for inner in value]
        if not isinstance(value, str) or _TOKEN.search(value) is None:
            return value
        form = next((form for pattern, form in _ARN_FORMS if pattern.search(path)), None)
        if form is not None:
            place = {"partition": self.partition, "region": self.region, "account": self.account}
            return self._stand_in(value, form.format(**place, name="{name}"))
        return _TOKEN.sub(lambda token: self._stand_in(token[0], "{name}"), value)

    def _stand_in(self, text: str, form: str) -> str:
        """Return the stand-in of a text in a form, which has `{name}` in the place of its name."""
        if (text, form) not in self._stand_ins:
            self._stand_ins[text, form] = form.format(name=f"{_FIRST_NUMBER + len(self._stand_ins):016x}")
        return self._stand_ins[text, form]

    def _texts(self) -> list[tuple[str, str]]:
        """List stand-ins with their texts, the longest first: an ARN contains a name."""
        return sorted(
            ((stand_in, text) for (text, _), stand_in in self._stand_ins.items()),
            key=lambda pair: len(pair[0]),
            reverse=True,
        )

    def _restore(self, value: Any) -> Any:
        if isinstance(value, BaseModel):
            fields = {name: getattr(value, name) for name in value.model_fields_set}
            return value.model_copy(update={name: self._restore(inner) for name, inner in fields.items()})
        if isinstance(value, tuple):
            return tuple(map(self._restore, value))
        if isinstance(value, list):
            return list(map(self._restore, value))
        if isinstance(value, Mapping):
            return {key: self._restore(inner) for key, inner in value.items()}
        if not isinstance(value, str):
            return value
        for stand_in, text in self._texts():
            if stand_in in value:  # an enumeration stays one
                value = value.replace(stand_in, text)
        return value
