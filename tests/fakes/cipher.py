"""Cipher of task tokens that only hides a token, bound to its rollback as the real one is."""

import base64

from rollback.errors import CallRefused


class FakeTokenCipher:
    """Cipher that encodes a token together with the rollback's id."""

    def encrypt(self, rollback_id: str, token: str) -> bytes:
        return base64.b64encode(f"{rollback_id}\0{token}".encode())

    def decrypt(self, rollback_id: str, ciphertext: bytes) -> str:
        encrypted_for, _, token = base64.b64decode(ciphertext).decode().partition("\0")
        if encrypted_for != rollback_id:
            raise CallRefused(f"the token was encrypted for another rollback than {rollback_id}")
        return token
