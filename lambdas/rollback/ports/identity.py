"""Port to AWS STS, which confirms who signed a request."""

from typing import Protocol

from rollback.domain.approval.identity import Identity
from rollback.domain.approval.identity_proof import SignedRequest
from rollback.effects import reads


class IdentityProofs(Protocol):
    """Proofs of identity: signed requests that STS answers with the ARN of the signer."""

    @reads
    def endpoint(self) -> str:
        """Return the URL of the deployment's regional STS, as our own SDK resolves it."""
        ...

    @reads
    def region(self) -> str:
        """Return the region of that endpoint."""
        ...

    @reads
    def identify(self, request: SignedRequest) -> Identity:
        """Send a signed request, and return the identity of its signer.

        Raises:
            CallRefused: STS does not accept the signature.
            ExternalServiceError: STS gave no usable answer.
        """
        ...
