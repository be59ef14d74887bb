"""cdk-nag's AWS Solutions rules: whatever they find is mended, or acknowledged with a reason on that resource."""

from pathlib import Path

from stacks.assembly import build


def test_nothing_is_found_that_is_not_acknowledged(tmp_path: Path) -> None:
    context = {"aws:cdk:bundling-stacks": [], "rollback:environments": "production,feature"}
    build(tmp_path, context, validate=False, review=True).synth()  # raises on a finding
