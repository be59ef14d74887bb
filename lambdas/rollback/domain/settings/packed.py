"""Text of the settings in an environment variable and in the stack's output: JSON, or packed JSON where it is long.

Packed settings are zlib's bytes in base64 behind `z:`. The settings of many services repeat one another, so that they
take an eighth, and the functions still depend on nothing but their variables (decision 51).
"""

import base64
import binascii
import zlib

from rollback.domain.settings.environment import Settings

_PACKED = "z:"
_MAX_BYTES = 1_000_000  # far above what a variable can hold; a damaged text must not fill the memory


def pack(text: str) -> str:
    """Pack the JSON of settings; the same text gives the same result."""
    return _PACKED + base64.b64encode(zlib.compress(text.encode(), level=9)).decode()


def parse_settings(text: str) -> Settings:
    """Parse settings, packed or not.

    Raises:
        ValueError: the text has no settings of this version, or it is damaged.
    """
    return Settings.model_validate_json(_unpack(text) if text.startswith(_PACKED) else text)


def _unpack(text: str) -> bytes:
    try:
        packed = base64.b64decode(text.removeprefix(_PACKED), validate=True)
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(packed, _MAX_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the packed settings are damaged ({error}); deploy the rollback stack again") from error
    if not unpacker.eof:
        raise ValueError("the packed settings are cut off; deploy the rollback stack again")
    return unpacked
