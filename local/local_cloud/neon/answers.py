"""Neon's JSON: every field that its API specification requires. Times are in whole seconds, as in Neon's answers."""

from datetime import UTC, datetime
from typing import Any

from local_cloud.neon.branch import Branch
from local_cloud.neon.compute import Compute
from local_cloud.neon.faults import ENDPOINT_DISABLED
from local_cloud.neon.operations import Operation
from local_cloud.neon.project import Project
from local_cloud.neon.proxy import HOST

Json = dict[str, Any]
_USAGE = ("active_time_seconds", "compute_time_seconds", "written_data_bytes", "data_transfer_bytes", "cpu_used_sec")


def format_time(moment: datetime) -> str:
    """Return a time as `2022-11-30T20:09:48Z`, cut to whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def project_answer(project: Project, postgres_version: int) -> Json:
    """Return a project."""
    return {
        "id": project.id,
        "name": project.id,
        "platform_id": "local",
        "region_id": "local",
        "proxy_host": HOST,
        "provisioner": "k8s-neonvm",
        "pg_version": postgres_version,
        "store_passwords": True,
        "creation_source": "local",
        "branch_logical_size_limit": 0,
        "branch_logical_size_limit_bytes": 0,
        "data_storage_bytes_hour": 0,
        "history_retention_seconds": project.limits.history_retention_seconds,
        "owner_id": "local",
        "owner": {
            "email": "local@example.com",
            "name": "local",
            "branches_limit": 100,
            "subscription_type": project.limits.subscription_type,
        },
        "settings": {
            "allowed_ips": {
                "ips": list(project.settings.allowed_ips),
                "protected_branches_only": project.settings.protected_branches_only,
            },
            "enable_logical_replication": project.logical_replication,
        },
        "consumption_period_start": format_time(project.created_at),
        "consumption_period_end": format_time(project.created_at),
        "created_at": format_time(project.created_at),
        "updated_at": format_time(project.created_at),
        **dict.fromkeys(_USAGE, 0),
    }


def branch_answer(project: Project, branch: Branch) -> Json:
    """Return a branch."""
    optional = {
        "parent_id": branch.parent_id,
        "parent_lsn": str(branch.parent_lsn) if branch.parent_lsn else None,
        "parent_timestamp": format_time(branch.parent_timestamp) if branch.parent_timestamp else None,
        "pending_state": branch.pending_state,
        "last_reset_at": format_time(branch.last_reset_at) if branch.last_reset_at else None,
        "expires_at": format_time(branch.expires_at) if branch.expires_at else None,
        "restricted_actions": [{"name": action, "reason": reason} for action, reason in branch.restricted.items()]
        or None,
    }
    return {
        "id": branch.id,
        "project_id": project.id,
        "name": branch.name,
        "current_state": branch.state,
        "state_changed_at": format_time(branch.state_changed_at),
        "creation_source": "local",
        "created_at": format_time(branch.created_at),
        "updated_at": format_time(branch.updated_at),
        "primary": branch.default,
        "default": branch.default,
        "protected": branch.protected,
        **dict.fromkeys(_USAGE, 0),
        **{name: value for name, value in optional.items() if value is not None},
    }


def endpoint_answer(project: Project, compute: Compute) -> Json:
    """Return an endpoint. Unlike Neon's, `host` includes the port: endpoints differ by their port here."""
    return {
        "id": compute.id,
        "project_id": project.id,
        "branch_id": compute.branch_id,
        "host": compute.address,
        "proxy_host": HOST,
        "region_id": "local",
        "type": "read_write",
        "current_state": compute.state,
        "autoscaling_limit_min_cu": 0.25,
        "autoscaling_limit_max_cu": 0.25,
        "pooler_enabled": False,
        "pooler_mode": "transaction",
        "disabled": compute.refuses == ENDPOINT_DISABLED,
        "passwordless_access": False,
        "creation_source": "local",
        "settings": {},
        "suspend_timeout_seconds": 0,
        "provisioner": "k8s-neonvm",
        "created_at": format_time(compute.created_at),
        "updated_at": format_time(compute.updated_at),
    }


def operation_answer(project: Project, operation: Operation) -> Json:
    """Return an operation."""
    duration = operation.updated_at - operation.created_at
    answer = {
        "id": operation.id,
        "project_id": project.id,
        "branch_id": operation.branch_id,
        "endpoint_id": operation.endpoint_id,
        "action": operation.action,
        "status": operation.status,
        "error": operation.error or None,
        "failures_count": operation.failures_count,
        "created_at": format_time(operation.created_at),
        "updated_at": format_time(operation.updated_at),
        "total_duration_ms": int(duration.total_seconds() * 1000),
    }
    return {name: value for name, value in answer.items() if value is not None}


def database_answer(branch: Branch, name: str, owner: str) -> Json:
    """Return a database, with an id made from its name."""
    created = format_time(branch.created_at)
    identity = int.from_bytes(name.encode()[:4], "big")
    answer = {"id": identity, "branch_id": branch.id, "name": name, "owner_name": owner}
    return {**answer, "created_at": created, "updated_at": created}


def role_answer(branch: Branch, role: str, password: str | None = None) -> Json:
    """Return a role. Only the answer to its creation has the password."""
    created = format_time(branch.created_at)
    answer = {"branch_id": branch.id, "name": role, "protected": False, "created_at": created, "updated_at": created}
    return answer if password is None else {**answer, "password": password}
