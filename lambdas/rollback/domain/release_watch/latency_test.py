"""Test of latency: is a fresh release slower than the release before it?

Mann-Whitney's U with the normal approximation and the correction for ties (H. B. Mann and D. R. Whitney, "On a Test of
Whether one of Two Random Variables is Stochastically Larger than the Other", Annals of Mathematical Statistics 18,
1947). It compares ranks, so a few slow outliers don't decide, and it needs no distribution. A difference that is
certain may still be small. So the median must also be `MIN_RATIO` times the old one, and slower by
`MIN_EXCESS_SECONDS`.
"""

import math
from collections import Counter
from collections.abc import Sequence

MIN_RATIO = 2.0
MIN_EXCESS_SECONDS = 0.1
MIN_SAMPLES = 20  # on each side; the normal approximation is good from 8 on
CRITICAL_Z = 5.0  # one-sided chance of 3e-7 in one comparison of independent samples


def mann_whitney_z(old: Sequence[float], new: Sequence[float]) -> float:
    """Return the standardised U: how many standard deviations `new` ranks above `old`.

    Raises:
        ValueError: a side has no sample.
    """
    if not old or not new:
        raise ValueError("each side needs a sample")
    counts = Counter((*old, *new))
    rank_of: dict[float, float] = {}
    below = 0
    for value in sorted(counts):
        rank_of[value] = below + (counts[value] + 1) / 2
        below += counts[value]
    n, m = len(new), len(old)
    u = sum(rank_of[value] for value in new) - n * (n + 1) / 2
    total = n + m
    ties = sum(count**3 - count for count in counts.values())
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    return (u - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0


def median(values: Sequence[float]) -> float:
    """Return the median.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("no value has no median")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def is_slower(old: Sequence[float], new: Sequence[float]) -> bool:
    """Whether `new` is certainly and noticeably slower than `old`; too few samples are no evidence.

    Args:
        old: seconds of answers of the release before.
        new: seconds of answers of the fresh release.
    """
    if min(len(old), len(new)) < MIN_SAMPLES:
        return False
    before, now = median(old), median(new)
    is_noticeable = now >= MIN_RATIO * before and now >= before + MIN_EXCESS_SECONDS
    return is_noticeable and mann_whitney_z(old, new) >= CRITICAL_Z
