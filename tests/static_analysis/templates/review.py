"""Review of the templates by cdk-nag (three packs), cfn-lint and checkov: the shipped settings, and all parts.

Run `make review`. Exit code 1: a finding is not acknowledged, or an acknowledgement has outlived its finding.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from static_analysis.templates.acknowledged import CFN_LINT, CHECKOV
from support.every_part import everything

from stacks.assembly import build

ROOT = Path(__file__).resolve().parents[3]
_CHECKOV = ROOT / ".checkov" / "bin" / "checkov"
_REGION = "eu-west-1"
# cdk-nag writes an unknown account and a known one differently, so both are reviewed.
_CONTEXTS: dict[str, dict[str, Any]] = {
    "shipped": {},
    "every-part": {"environments": {"staging": everything("aws")}},
}


class ReviewNotRun(Exception):
    """A tool is missing or gave no answer: nothing is known about the templates."""


class Finding(NamedTuple):
    """A finding: its rule, the type of the resource, and where it is."""

    rule: str
    kind: str
    place: str


def unacknowledged(findings: Iterable[Finding], acknowledged: Collection[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each finding that no acknowledgement covers, and for each acknowledgement without a finding.

    Args:
        findings: findings of one tool.
        acknowledged: rule and type of a resource.
    """
    needed: set[tuple[str, str]] = set()
    for finding in findings:
        key = (finding.rule, finding.kind)
        if key in acknowledged:
            needed.add(key)
        else:
            yield f"{finding.place}: {finding.rule} on {finding.kind} is not acknowledged"
    for rule, kind in sorted(set(acknowledged) - needed):
        yield f"{rule} on {kind or 'any resource'} is acknowledged, and no finding needs it: remove the row"


def checkov_findings(folder: Path) -> tuple[list[Finding], int]:
    """Run checkov on a folder and those below; return its failed checks, and the number of those that passed.

    Raises:
        ReviewNotRun: checkov is not installed, or read no resource.
    """
    if not _CHECKOV.exists():
        raise ReviewNotRun("checkov is not installed; run `make review`, which installs it")
    options = ["--framework", "cloudformation", "--output", "json", "--quiet", "--compact", "--skip-download"]
    words = ["--directory", str(folder), *options]
    answer = subprocess.run([_CHECKOV, *words], capture_output=True, text=True, check=False)
    try:
        reports = json.loads(answer.stdout)
    except ValueError as error:
        raise ReviewNotRun(f"checkov gave no answer: {(answer.stdout + answer.stderr)[-500:]}") from error
    reports = reports if isinstance(reports, list) else [reports]
    if not any(report.get("summary", {}).get("resource_count") for report in reports):
        raise ReviewNotRun(f"checkov read no resource: {answer.stdout[:300]}")
    findings = [
        Finding(failed["check_id"], failed["resource"].partition(".")[0], f"{failed['file_path']} {failed['resource']}")
        for report in reports
        for failed in report["results"]["failed_checks"]
    ]
    return findings, sum(report["summary"]["passed"] for report in reports)


def cfn_lint_findings(folders: Sequence[Path]) -> list[Finding]:
    """Run cfn-lint; return its findings, warnings too.

    Raises:
        ReviewNotRun: cfn-lint gave no answer.
    """
    files = [str(path) for folder in folders for path in sorted(folder.glob("*.template.json"))]
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", _REGION, "--format", "json", "--", *files]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        matches = json.loads(answer.stdout or "[]")
    except ValueError as error:
        raise ReviewNotRun(f"cfn-lint gave no answer: {(answer.stdout + answer.stderr)[-500:]}") from error
    if answer.returncode and not matches:
        raise ReviewNotRun(f"cfn-lint gave no answer: {answer.stderr[-500:]}")
    return [
        Finding(match["Rule"]["Id"], "", f"{Path(match['Filename']).name}: {match['Message']}") for match in matches
    ]


def main() -> int:
    """Review the templates, and print a line for each tool and each problem."""
    with tempfile.TemporaryDirectory(prefix="review-") as temporary:
        folders = [Path(temporary) / name for name in _CONTEXTS]
        for folder, context in zip(folders, _CONTEXTS.values(), strict=True):
            try:
                build(folder, {"aws:cdk:bundling-stacks": [], **context}, validate=False, review=True).synth()
            except RuntimeError as error:  # jsii's error for each exception of the CDK
                sys.stdout.write(f"cdk-nag: the findings above are not acknowledged: {error}\n")
                return 1
        sys.stdout.write("cdk-nag: no finding without acknowledgement (AwsSolutions, NIST 800-53 R5, Serverless)\n")
        lint = cfn_lint_findings(folders)
        sys.stdout.write(f"cfn-lint: {len(lint)} findings\n")
        failed, passed = checkov_findings(Path(temporary))
        sys.stdout.write(f"checkov: {passed} checks passed, {len(failed)} did not\n")
    problems = [*unacknowledged(lint, [(rule, "") for rule in CFN_LINT]), *unacknowledged(failed, CHECKOV)]
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
