"""JSON Schema of `cdk.json`, from which editors complete settings and show what they mean.

`python -m rollback_constructs.settings.json_schema FILE` writes it; `make schemas` does. The schema knows types, names,
choices and limits. Conflicts between settings, and names in AWS, only a synth finds.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from rollback_constructs.settings.environment import ENVIRONMENT_NAME, Application, Environment

SCHEMA_FILE = "cdk-json-v1.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXTS = {
    "image_tag": "tag of the workload's first image, in place of `workload.image_tag`",
    "rollback:environments": "names of the environments to synthesise, with commas between them; default: all",
    "rollback:bundle_platform": "platform of the functions, such as aarch64-manylinux_2_28",
    "rollback:bundle_python": "Python of the functions, such as 3.13",
}


def cdk_json_schema() -> dict[str, Any]:
    """Return the schema; the CDK's own keys, and the context of other tools, are left open."""
    references, definitions = models_json_schema([(Application, "validation"), (Environment, "validation")])
    environments = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": ENVIRONMENT_NAME},
        "additionalProperties": references[Environment, "validation"],
        "description": "environments by name; each has stacks of its own",
    }
    context = {
        "type": "object",
        "required": ["environments"],
        "properties": {
            "application": references[Application, "validation"],
            "environments": environments,
            **{name: {"type": "string", "description": text} for name, text in _TEXTS.items()},
            "rollback:overrides": {"type": "object", "description": "merged into the settings of each environment"},
        },
        "description": "settings of this product, beside the CDK's feature flags",
    }
    return {
        "$schema": _DIALECT,
        "title": "cdk.json of the rollback stacks, version 1",
        "type": "object",
        "required": ["context"],
        "properties": {
            "$schema": {"type": "string", "description": "path of this schema, for editors; the CDK ignores it"},
            "context": context,
        },
        **definitions,
    }


def schema_text() -> str:
    """Return the text of the schema's file."""
    return f"{json.dumps(cdk_json_schema(), indent=2, ensure_ascii=False)}\n"


def main(file: Path) -> None:
    """Write the schema into a file."""
    file.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
