"""JSONPath as Step Functions reads it: a definite path gives a value, and any other path a list.

moto answers the definite path `$.a[0].b` with a list of one.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.asl.utils import json_path

from local_cloud.moto_fixes.step_functions.rebind import rebind

_INDEFINITE = re.compile(r"\.\.|\[\s*\*|\.\*|\[\?|\[[^\]'\"]*[:,][^\]]*\]")
_parse: Callable[[str], Any] = functools.lru_cache(2048)(json_path.parse)
_stock = json_path.extract_json


def extract_json(path: str, data: Any) -> Any:
    """Return the value, or the list of values, at a path of `data`.

    Raises:
        NoSuchJsonPathError: a definite path selects nothing.
    """
    matches = _parse(path).find(data)
    if _INDEFINITE.search(path):
        if not matches and not json_path._contains_slice_or_wildcard_array(path):
            raise json_path.NoSuchJsonPathError(json_path=path, data=data)
        return [match.value for match in matches]
    if not matches:
        raise json_path.NoSuchJsonPathError(json_path=path, data=data)
    return matches[0].value


def install() -> None:
    """Replace the interpreter's function in all its modules."""
    rebind("extract_json", _stock, extract_json)
