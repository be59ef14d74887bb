"""Rules of a decision: who may decide a rollback."""

from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy


def refuse_decision(policy: ApprovalPolicy, identity: Identity, requester: Identity | None) -> str | None:
    """Say why a person may not decide a rollback; None: the person may.

    Args:
        policy: settings of the environment's approvals.
        identity: the person who decides.
        requester: the person who started the rollback; None: an alarm or an event started it.
    """
    if policy.needs_verified_identity and not identity.is_verified:
        setting = "approval.four_eyes" if policy.four_eyes else "approval.approvers"
        return (
            f"{identity} gave no proof of identity, which {setting} demands: decide from the command "
            "line, which sends one"
        )
    if policy.approvers and not identity.matches(policy.approvers):
        return f"{identity} is no approver; approval.approvers names {', '.join(policy.approvers)}"
    return _refuse_own_request(identity, requester) if policy.four_eyes else None


def _refuse_own_request(identity: Identity, requester: Identity | None) -> str | None:
    if requester is None:
        return None
    if not requester.is_verified:
        return (
            f"{requester} started the rollback without a proof of identity. So AWS can't tell whether {identity} is "
            "another person, which approval.four_eyes demands. Start the rollback again from the command line, which "
            "sends a proof"
        )
    if identity.is_same_person(requester):
        return (
            f"{identity} started the rollback, and approval.four_eyes demands that another person decides; a person "
            "who started it by mistake aborts it"
        )
    return None
