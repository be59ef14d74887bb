"""An emergency acts within its limits while AWS refuses three attempts in ten, of every service, reads and changes.

`make prove` plays a thousand of them; the suite plays the first few of the same series.
"""

import os
import statistics
import sys
from collections.abc import Sequence

import pytest
from contract.aws.throttled_emergency import EmergencyRun, EmergencyRunner, tasks_without_processes

from local_cloud.deployment.server import LocalCloud

SHARE, SEED = 0.3, "robust"
COUNT = int(os.environ.get("THROTTLED_EMERGENCIES", "20"))


def test_every_emergency_acts_within_its_limits(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in cloud.environment().items():
        monkeypatch.setenv(variable, value)
    with tasks_without_processes():
        emergencies = EmergencyRunner(cloud, SHARE, SEED)
        courses = [emergencies.run_emergency(number) for number in range(COUNT)]

    sys.stderr.write(summary(courses))
    assert sum(course.refused for course in courses) > COUNT  # the throttling took effect
    assert max(course.tries for course in courses) > 1
    assert [(number, course.problem) for number, course in enumerate(courses) if course.problem] == []


def test_an_emergency_without_any_answer_ends_with_the_retries_of_its_state(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in cloud.environment().items():
        monkeypatch.setenv(variable, value)
    with tasks_without_processes():
        course = EmergencyRunner(cloud, 1.0, SEED).run_emergency(0)

    assert course.tries == 16
    assert course.problem.startswith("it gave up on Throttled: ")


def summary(courses: Sequence[EmergencyRun]) -> str:
    """How many acted, and how long that took."""
    acted = sum(1 for course in courses if not course.problem)
    lines = [f"\n{acted} of {len(courses)} emergencies acted within their limits, {SHARE:.0%} of attempts throttled"]
    for title, values in (
        ("invocations", [float(course.tries) for course in courses]),
        ("seconds until UpdateService was accepted", [course.seconds for course in courses]),
        ("seconds of the longest invocation", [course.longest_invocation_seconds for course in courses]),
        ("throttled attempts", [float(course.refused) for course in courses]),
    ):
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        lines.append(f"{title}: p50 {cuts[49]:.1f}, p90 {cuts[89]:.1f}, p99 {cuts[98]:.1f}, most {max(values):.1f}")
    return "\n".join(lines) + "\n"
