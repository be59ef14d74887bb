"""Make the fixture of the previous release: its templates, their settings, and the code of its functions.

Run `make previous-release COMMIT=v1.2.3` after a release, and commit the result: from then on, the tests upgrade that
release. The commit's own `app.py` synthesises, with that commit's `cdk.json`.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from previous_release.fixture import CODE, FOLDER, RELEASE

from rollback_cli.demo.profile import SCALE, overrides
from rollback_cli.demo.synthesis import APPLICATION_URL_PLACEHOLDER
from rollback_constructs.functions.sources import PROJECT

Context = dict[str, Any]
_ACCOUNT, _REGION = "123456789012", "eu-west-1"
_SECRET = f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:"
_ON_CALL = "arn:aws:iam::*:role/on-call"
# A rollback waits in Verify as long as the alarm is in ALARM, so that a test can deploy in the middle of it.
_DEMO_POLICY = {
    "bake_minutes": 600,  # only a test promotes
    "bake_timeout_minutes": 601,
    "correlation_window_minutes": 60,
    "cooldown_minutes": 0,
    "attempts_per_window": 100,
    "verify_timeout_minutes": 30,
}


def variants(production: Context) -> dict[str, Context]:
    """Return the context of each variant: what an adopter has in `cdk.json`.

    Args:
        production: the environment `production` in the release's `cdk.json`.
    """
    (service,) = production["services"]
    approval = {"required_for": ["forced"], "approvers": [_ON_CALL]}
    complete = {
        **production,
        "services": [{**service, "smoke_command": ["pnpm", "smoke"]}],
        "database": {
            "project_id": "quiet-sun-1",
            "branch_id": "br-main-1",
            "api_key_secret_arn": f"{_SECRET}neon-key-AbCdEf",
            "connection_secret_arn": f"{_SECRET}database-url-AbCdEf",
            "down_command": ["pnpm", "db:migrate:down", "{tag}"],
        },
        "approval": approval,
        "github_actions": {"repository": "macro-ai/shop"},
        "drills": {"allow_production_drills": True, "schedule": "cron(0 9 ? * TUE *)"},
    }
    existing = {
        "policy": {"mode": "observe"},
        "services": [
            {
                "name": "api",
                "cluster": "shop",
                "ecs_service": "shop-api",
                "container": "api",
                "base_url": "https://api.example.com",
                "endpoints": [{"path": "/health"}],
                "stack": "ShopStack",
                "existing": {
                    "load_balancer": "app/shop/0123456789abcdef",
                    "target_groups": ["targetgroup/api/0123456789abcdef"],
                    "task_role_arns": [f"arn:aws:iam::{_ACCOUNT}:role/ApiTask"],
                    "execution_role_arns": [f"arn:aws:iam::{_ACCOUNT}:role/ApiExecution"],
                    "log_group": "/aws/ecs/shop-api",
                    "repository": "shop-api",
                },
            }
        ],
    }
    demo_overrides = overrides(APPLICATION_URL_PLACEHOLDER, _DEMO_POLICY, {}, {}, approval)
    return {
        "shipped": {"environments": {"production": production}},
        "complete": {"environments": {"production": complete}},
        "existing": {"environments": {"production": existing}},
        "demo": {
            "environments": {"production": production},
            "rollback:overrides": json.dumps(demo_overrides),
            "rollback:clock_scale": SCALE,
        },
    }


def main() -> None:
    """Write the fixture of the commit that the command line names."""
    (commit,) = sys.argv[1:]
    digest = _git("rev-parse", f"{commit}^{{commit}}").strip()
    with _checked_out(digest) as sources:
        shipped = json.loads((sources / "cdk.json").read_text())["context"]
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for name, context in variants(shipped["environments"]["production"]).items():
            _write_variant(sources, FOLDER / name, {"application": shipped["application"], **context})
        code = _archive(sources / "lambdas")
        version = tomllib.loads((sources / "pyproject.toml").read_text())["project"]["version"]
    (FOLDER / CODE).write_bytes(code)
    release = {"commit": digest, "version": version, "code_sha256": hashlib.sha256(code).hexdigest()}
    (FOLDER / RELEASE).write_text(json.dumps(release, indent=2) + "\n")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True).stdout


@contextmanager
def _checked_out(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "sources"
        _git("worktree", "add", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _write_variant(sources: Path, folder: Path, context: Context) -> None:
    folder.mkdir()
    (folder / "context.json").write_text(json.dumps(context, indent=1) + "\n")
    with tempfile.TemporaryDirectory() as out:
        all_context = {**context, "aws:cdk:bundling-stacks": []}
        folders = ("", "lambdas", "constructs", "cli", "local")
        variables = {
            **os.environ,
            "CDK_OUTDIR": out,
            "CDK_CONTEXT_JSON": json.dumps(all_context),
            "CDK_VALIDATION": "false",
            "PYTHONPATH": os.pathsep.join(str(sources / name) for name in folders),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        subprocess.run([sys.executable, "app.py"], cwd=sources, env=variables, check=True)
        for template in sorted(Path(out).glob("*.template.json")):
            (folder / template.name).write_text(json.dumps(json.loads(template.read_text()), indent=1) + "\n")


def _archive(folder: Path) -> bytes:
    """Return a folder as an archive that depends on names and contents only."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
                content = path.read_bytes()
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


if __name__ == "__main__":
    main()
