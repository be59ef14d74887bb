"""Canonical JSON and its hash: identities of releases and definitions rest on it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sha256_of(value: Mapping[str, Any]) -> str:
    """Hex sha256 of canonical JSON (sorted keys, no blanks)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
