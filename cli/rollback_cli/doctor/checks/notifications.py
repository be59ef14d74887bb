"""SNS topics: would a person learn of a rollback, and of a failed one?"""

from functools import partial

from rollback.errors import CallRefused
from rollback_cli.doctor.aws_api import is_gone
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter

_PENDING = frozenset({"PendingConfirmation", "Deleted"})  # SNS API reference, SubscriptionArn


def notification_questions(x: Examination) -> list[Question]:
    """Ask about the subscriptions of both topics."""
    return [
        question(
            Group.NOTIFICATIONS, "pages-reach-a-person", partial(_topic, x.deployment.critical_topic_arn, True, x)
        ),
        question(Group.NOTIFICATIONS, "reports-reach-a-person", partial(_topic, x.deployment.topic_arn, False, x)),
    ]


def _topic(arn: str, is_critical: bool, x: Examination, report: Reporter) -> Finding:
    name = arn.rsplit(":", 1)[-1]
    to_do = (
        f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint ADDRESS; then confirm it. Or "
        f"set `notify` in cdk.json, and deploy {x.stack_name}"
    )
    tell = report.failed if is_critical else report.warned
    try:
        subscriptions = x.aws.items("sns", "ListSubscriptionsByTopic", "Subscriptions", TopicArn=arn)
    except CallRefused as refused:
        if not is_gone(refused):
            raise
        return report.failed(f"there is no topic {name}", f"run `cdk deploy {x.stack_name}` again")
    pending = [f"{s['Protocol']} {s['Endpoint']}" for s in subscriptions if s["SubscriptionArn"] in _PENDING]
    confirmed = [f"{s['Protocol']}" for s in subscriptions if s["SubscriptionArn"] not in _PENDING]
    if not confirmed:
        state = (
            f"none of {len(pending)} subscriptions of {name} is confirmed" if pending else f"{name} has no subscription"
        )
        return tell(state, to_do)
    if pending:
        return report.warned(
            f"{name} has {len(confirmed)} confirmed subscriptions; not confirmed: {', '.join(pending)}",
            "confirm it by the link in SNS's message, or remove it",
        )
    return report.passed(f"{name} has {len(confirmed)} confirmed subscriptions ({', '.join(sorted(set(confirmed)))})")
