"""Verify a proof of identity with AWS STS. What is not proven is a claim, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rollback.domain.approval.identity import Identity
from rollback.domain.approval.identity_proof import Unproven, check_proof
from rollback.errors import RollbackError
from rollback.ports.holders import HasClock, HasIdentityProofs


class ProofPorts(HasClock, HasIdentityProofs, Protocol):
    """Ports of the verification."""


@dataclass(frozen=True)
class Verification:
    """The identity behind a proof.

    Attributes:
        identity: confirmed by STS, or only claimed.
        problem: why the identity is not verified; empty: it is verified.
    """

    identity: Identity
    problem: str = ""


def verify_identity(
    proof: Mapping[str, object] | object | None,
    purpose: str,
    claimed_name: str,
    ports: ProofPorts,
    used_at: datetime | None = None,
) -> Verification:
    """Ask STS who signed a proof. A failure never raises: the identity is then unverified.

    Args:
        proof: decoded JSON from outside; None: none was given.
        purpose: the purpose that the signature has to cover.
        claimed_name: name of the person for the record, if the proof does not count.
        ports: the clock and STS.
        used_at: when the proof arrived, for its age; None: now. STS itself refuses a signature after 15 minutes.
    """
    claimed = Identity.unverified(claimed_name)
    if proof is None:
        return Verification(claimed, "no proof of identity was given")
    try:
        endpoint, region = ports.identity_proofs.endpoint(), ports.identity_proofs.region()
        request = check_proof(proof, endpoint, region, purpose, used_at or ports.clock.now())
        if isinstance(request, Unproven):
            return Verification(claimed, request.reason)
        return Verification(ports.identity_proofs.identify(request))
    except RollbackError as failure:
        return Verification(claimed, str(failure))
