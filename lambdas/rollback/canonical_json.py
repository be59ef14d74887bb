"""Canonical JSON and its hash, on which identities of releases and definitions rest."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sha256_of(value: Mapping[str, Any]) -> str:
    """Return the hexadecimal SHA-256 of canonical JSON (sorted keys, no blanks)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
