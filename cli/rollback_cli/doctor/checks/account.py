"""Credentials, account and region, and this machine's clock."""

from datetime import datetime
from email.utils import parsedate_to_datetime

from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter

_WARN_SECONDS = 30
# AWS refuses most signatures that are five minutes old, some after fifteen (IAM guide, "Troubleshoot signed requests").
_FAIL_SECONDS = 240


def account_questions(x: Examination) -> list[Question]:
    """Ask STS who the operator is, and by how much the clocks differ."""
    return [
        question(Group.ACCOUNT, "credentials-are-of-this-account", lambda report: _identity(x, report)),
        question(Group.ACCOUNT, "clock-is-right", lambda report: _clock(x, report)),
    ]


def _identity(x: Examination, report: Reporter) -> Finding:
    answer = x.aws.call("sts", "GetCallerIdentity")
    account, place = str(answer["Account"]), x.place
    seen = f"{answer['Arn']} in account {account}, {x.aws.region}"
    if (account, x.aws.region) != (place.account, place.region):
        return report.failed(
            f"{seen}; the stack {x.stack_name} is in {place}",
            "set AWS_PROFILE and AWS_REGION to the account and region of the stack",
        )
    return report.passed(seen)


def _clock(x: Examination, report: Reporter) -> Finding:
    before = x.now()
    answer = x.aws.call("sts", "GetCallerIdentity")
    after = x.now()
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return report.not_looked_at("AWS's answer has no date", "compare this machine's clock with an NTP server")
    skew = _skew_seconds(before, after, parsedate_to_datetime(date))
    seen = f"this machine's clock differs from AWS's by {skew:.0f} s"
    to_do = "switch on NTP (`timedatectl set-ntp true`): AWS refuses signatures with a wrong time"
    if skew > _FAIL_SECONDS:
        return report.failed(seen, to_do)
    return report.warned(seen, to_do) if skew > _WARN_SECONDS else report.passed(seen)


def _skew_seconds(before: datetime, after: datetime, aws_time: datetime) -> float:
    """Return the least difference that the call's duration allows; AWS's time has whole seconds."""
    early, late = (aws_time - after).total_seconds(), (before - aws_time).total_seconds() - 1
    return max(0.0, early, late)
