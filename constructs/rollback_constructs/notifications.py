"""Where people are told: every outcome on one topic, what needs a person now on another."""

from aws_cdk import aws_sns as sns
from constructs import Construct


class Notifications(Construct):
    """`rollbacks` gets a report of every rollback, `critical` what failed or can't be done by itself."""

    def __init__(self, scope: Construct, id_: str, *, prefix: str) -> None:
        super().__init__(scope, id_)
        self.rollbacks = sns.Topic(self, "Rollbacks", topic_name=f"{prefix}-rollbacks", enforce_ssl=True)
        self.critical = sns.Topic(self, "Critical", topic_name=f"{prefix}-rollbacks-critical", enforce_ssl=True)
