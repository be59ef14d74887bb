"""The review of templates tells a new finding, an outlived acknowledgement, and a tool that gave no answer."""

from pathlib import Path

import pytest
from static_analysis.templates import review
from static_analysis.templates.acknowledged import CFN_LINT, CHECKOV

QUEUE = review.Finding("CKV_AWS_27", "AWS::SQS::Queue", "a.template.json AWS::SQS::Queue.Letters")


def test_a_finding_without_acknowledgement_is_told_with_its_place() -> None:
    (line,) = review.unacknowledged([QUEUE], [])
    assert line == "a.template.json AWS::SQS::Queue.Letters: CKV_AWS_27 on AWS::SQS::Queue is not acknowledged"


def test_an_acknowledgement_is_of_one_rule_on_one_type() -> None:
    assert list(review.unacknowledged([QUEUE], [("CKV_AWS_27", "AWS::SQS::Queue")])) == []
    other_type = list(review.unacknowledged([QUEUE], [("CKV_AWS_27", "AWS::SNS::Topic")]))
    assert len(other_type) == 2
    assert other_type[1].startswith("CKV_AWS_27 on AWS::SNS::Topic is acknowledged, and no finding needs it")


def test_each_acknowledgement_has_a_reason() -> None:
    assert all([*CFN_LINT.values(), *CHECKOV.values()])


@pytest.mark.parametrize("answer", ["echo no JSON", "echo []", "echo '{\"passed\": 0}'"])
def test_a_tool_that_read_nothing_is_no_clean_review(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "checkov"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setattr(review, "_CHECKOV", program)
    with pytest.raises(review.ReviewNotRun):
        review.checkov_findings(tmp_path)


def test_a_tool_that_is_not_installed_is_no_clean_review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "_CHECKOV", tmp_path / "checkov")
    with pytest.raises(review.ReviewNotRun, match="make review"):
        review.checkov_findings(tmp_path)
