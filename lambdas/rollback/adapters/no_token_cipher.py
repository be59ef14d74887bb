"""Cipher of a deployment without a key for task tokens: no token is stored, and an execution wakes by its timer."""

from rollback.errors import NotAvailable


class NoTokenCipher:
    """Adapter that refuses every call, since no key is set."""

    def encrypt(self, rollback_id: str, token: str) -> bytes:  # noqa: ARG002 - the port's signature
        """Refuse."""
        raise NotAvailable(f"the token of {rollback_id} can't be stored: no key for tokens is set")

    def decrypt(self, rollback_id: str, ciphertext: bytes) -> str:  # noqa: ARG002 - the port's signature
        """Refuse."""
        raise NotAvailable(f"the token of {rollback_id} can't be read: no key for tokens is set")
