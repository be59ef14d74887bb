"""cdk-nag's AWS Solutions rules: each finding is fixed, or acknowledged with a reason on its resource."""

from pathlib import Path

from stacks.assembly import build


def test_every_finding_of_cdk_nag_is_acknowledged(tmp_path: Path) -> None:
    context = {"aws:cdk:bundling-stacks": [], "rollback:environments": "production,feature"}
    build(tmp_path, context, validate=False, review=True).synth()  # raises on a finding
