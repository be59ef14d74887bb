"""AWS KMS: one key protects the task tokens of the executions that wait for an approval."""

from typing import TYPE_CHECKING

from rollback.adapters.aws.errors import aws_call
from rollback.errors import NotAvailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_MAX_TOKEN_CHARACTERS = (
    4096  # the limit of Encrypt: https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
)


class KmsTokenCipher:
    """Adapter. The rollback's id is the encryption context, which KMS logs and which Decrypt has to repeat.

    Args:
        client: a client of KMS.
        key_arn: ARN of the key; None: this environment asks for no approval.
    """

    def __init__(self, client: "KMSClient", key_arn: str | None) -> None:
        self._client = client
        self._key_arn = key_arn

    def encrypt(self, rollback_id: str, token: str) -> bytes:
        """Call Encrypt.

        Raises:
            NotAvailable: no key is set, or the token is longer than KMS encrypts.
        """
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise NotAvailable(f"the token of {rollback_id} is too long for KMS, so the execution wakes by its timer")
        key = self._key(rollback_id)
        with aws_call("Encrypt", key):
            answer = self._client.encrypt(
                KeyId=key, Plaintext=token.encode(), EncryptionContext={"rollback_id": rollback_id}
            )
        return bytes(answer["CiphertextBlob"])

    def decrypt(self, rollback_id: str, ciphertext: bytes) -> str:
        """Call Decrypt, with this key only.

        Raises:
            NotAvailable: no key is set.
        """
        key = self._key(rollback_id)
        with aws_call("Decrypt", key):
            answer = self._client.decrypt(
                KeyId=key, CiphertextBlob=ciphertext, EncryptionContext={"rollback_id": rollback_id}
            )
        return bytes(answer["Plaintext"]).decode()

    def _key(self, rollback_id: str) -> str:
        if self._key_arn is None:
            raise NotAvailable(f"the token of {rollback_id} has no key: APPROVALS_KEY_ARN is not set for this function")
        return self._key_arn
