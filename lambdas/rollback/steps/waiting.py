"""How long to wait before a call that was turned away is made again."""

from math import ceil

from rollback.model.database_errors import ComeBackLater
from rollback.steps.ports import World


def wait_for(later: ComeBackLater, world: World) -> int:
    """Seconds: as long as was asked for."""
    return max(world.settings.policy.poll_seconds, ceil(later.retry_after_seconds or 0))
