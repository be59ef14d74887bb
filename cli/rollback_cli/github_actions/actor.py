"""The person behind a job of GitHub Actions: the runner's own user and host say nothing about the person."""

import os

_IN_ACTIONS, _ACTOR, _RUN = "GITHUB_ACTIONS", "GITHUB_ACTOR", "GITHUB_RUN_ID"


def actions_requester() -> str | None:
    """Return `alice (GitHub Actions run 123)`; None outside of GitHub Actions.

    The name is a claim. The proof of identity in the request says which role's session has asked.
    """
    actor = os.environ.get(_ACTOR)
    if os.environ.get(_IN_ACTIONS) != "true" or not actor:
        return None
    return f"{actor} (GitHub Actions run {os.environ.get(_RUN, 'unknown')})"
