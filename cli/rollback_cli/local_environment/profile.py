"""Settings of the local environment: the demo's, for a person who plays several incidents one after another.

Minutes of AWS are seconds here; see `demo/profile.py` for the two clocks.
"""

from collections.abc import Mapping
from typing import Any

POLICY: Mapping[str, Any] = {
    "bake_minutes": 0.3,  # longer than the alarms take: a bad release is not promoted before they see it
    # Longer than a release decays, and short: one automatic step back per window is allowed.
    "correlation_window_minutes": 2,
    "attempts_per_window": 100,  # one incident after another is meant to happen here
    "attempt_window_minutes": 15,
}
# A bad migration is rolled back with its data. An environment without a database has no such answer.
DATABASE_POLICY: Mapping[str, Any] = {"on_incompatible_schema": "full"}
ALARMS: Mapping[str, Any] = {
    "min_requests_per_period": 10,  # 3 s of this machine's time
    "max_p95_latency_seconds": 3,
}
REQUESTS_PER_SECOND = 10.0
MAX_PENDING = 128  # requests to a slow release
