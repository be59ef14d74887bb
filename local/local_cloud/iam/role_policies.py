"""Policy documents of a role: inline and attached ones, and the permissions boundary."""

import json
from typing import Any

from moto.iam.models import iam_backends

from local_cloud.iam.policies import Document


def documents_of(role: Any, account: str) -> tuple[list[Document], Document | None]:
    """Return the policies of moto's role, and its permissions boundary if there is one."""
    inline = list(role.policies.values())
    attached = [_default_version(policy) for policy in role.managed_policies.values()]
    boundary_arn = role.permissions_boundary_arn
    boundary = iam_backends[account]["aws"].managed_policies.get(boundary_arn) if boundary_arn else None
    documents = [document if isinstance(document, dict) else json.loads(document) for document in inline + attached]
    return documents, json.loads(_default_version(boundary)) if boundary is not None else None


def _default_version(policy: Any) -> Any:
    return next(version.document for version in policy.versions if version.is_default)
