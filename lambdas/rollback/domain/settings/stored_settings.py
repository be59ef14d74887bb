"""Settings in the document of an open rollback, read leniently: another version may have other settings."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ValidationError

from rollback.domain.settings.environment import Settings


def read_leniently(given: Any) -> Settings | None:
    """Parse settings without the fields that this version does not know.

    None: the rest is not valid either, and the deployed settings are used.
    """
    if given is None or isinstance(given, Settings):
        return given
    if not isinstance(given, Mapping):
        return None
    try:
        return Settings.model_validate(_known_part(Settings, given))
    except ValidationError:
        return None


StoredSettings = Annotated[Settings | None, BeforeValidator(read_leniently)]


def _known_part(kind: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _known_value(field.annotation, given[name]) for name, field in kind.model_fields.items() if name in given
    }


def _known_value(annotation: Any, value: Any) -> Any:
    """Descend into models, optional models and tuples of models; return every other value as it is."""
    model = _model_in(annotation)
    if model is None:
        return value
    if isinstance(value, Mapping):
        return _known_part(model, value)
    if isinstance(value, list | tuple):
        return [_known_part(model, one) if isinstance(one, Mapping) else one for one in value]
    return value


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)
