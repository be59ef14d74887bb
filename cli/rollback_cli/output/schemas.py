"""JSON Schemas of what the reading verbs print: `python -m rollback_cli.output.schemas docs/schemas` writes them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from rollback_cli.doctor.document import Diagnosis
from rollback_cli.output.rollbacks.account import CliReport
from rollback_cli.output.rollbacks.history import History
from rollback_cli.output.rollbacks.measured import Metrics
from rollback_cli.output.rollbacks.shown import ShownRollback
from rollback_cli.output.rollbacks.verified import Verified
from rollback_cli.output.status.document import Status
from rollback_cli.output.versions.deploy_check import DeployCheck
from rollback_cli.output.versions.document import Versions

DIALECT = "https://json-schema.org/draft/2020-12/schema"  # the dialect of pydantic's schemas
DOCUMENTS: dict[str, type[BaseModel]] = {  # verb → its document
    "status": Status,
    "versions": Versions,
    "history": History,
    "show": ShownRollback,
    "report": CliReport,
    "metrics": Metrics,
    "verify": Verified,
    "check-deploy": DeployCheck,
    "doctor": Diagnosis,
}


def schema_files() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each schema's file."""
    for verb, document in DOCUMENTS.items():
        version = document.model_fields["schema_version"].default
        schema = {
            "$schema": DIALECT,
            "title": f"rollback {verb} --output json, version {version}",
            **{name: value for name, value in _schema_of(document).items() if name != "title"},
        }
        yield f"cli-{verb}-v{version}.json", f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n"


def _schema_of(document: type[BaseModel]) -> dict[str, object]:
    return document.model_json_schema(mode="serialization")


def main(folder: Path) -> None:
    """Write all schemas into a folder."""
    for name, text in schema_files():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
