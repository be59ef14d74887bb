"""Leaf alarms on the queues that a service reads: the age of the oldest message grows while the service does not.

SQS has no data for a queue that was empty and unused for hours, so missing data is not breaching (Amazon SQS developer
guide, "Available CloudWatch metrics for Amazon SQS").
"""

from rollback.names import QUEUE_AGE
from rollback_constructs.alarms.leaf_alarms import LeafAlarms
from rollback_constructs.alarms.target_alarms import Alarms

QUEUES, AGE = "AWS/SQS", "ApproximateAgeOfOldestMessage"


def alarm_on_queues(leaves: LeafAlarms) -> Alarms:
    """Create one alarm for each queue."""
    return tuple(
        leaves.add(
            "QueueAge",
            leaves.metric(QUEUES, AGE, "Maximum", {"QueueName": queue.queue}),
            QUEUE_AGE,
            queue.max_age_seconds,
            number=number,
        )
        for number, queue in enumerate(leaves.service.queues)
    )
