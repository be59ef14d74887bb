"""Port to the key that protects the tokens of waiting executions."""

from typing import Protocol

from rollback.effects import reads


class TokenCipher(Protocol):
    """Encrypts the task tokens of Step Functions: who has a token can end the wait of an execution."""

    @reads
    def encrypt(self, rollback_id: str, token: str) -> bytes:
        """Encrypt a token; the result can be decrypted for the same rollback only."""
        ...

    @reads
    def decrypt(self, rollback_id: str, ciphertext: bytes) -> str:
        """Decrypt a token.

        Raises:
            CallRefused: the text was encrypted for another rollback, or with another key.
        """
        ...
