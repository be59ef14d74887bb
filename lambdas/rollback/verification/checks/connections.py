"""Check each service's connection after data changed: proved, refuted, or explicitly not checked."""

from rollback.check import Check
from rollback.domain.database.reconnection import ServiceConnection
from rollback.domain.rollback import Rollback
from rollback.domain.settings.connections import ConnectionSettings
from rollback.domain.settings.environment import ServiceSettings
from rollback.ports.holders import HasHttp
from rollback.resources.aws.ecs_service import ProbeResult
from rollback.verification.checks.evidence_keys import CONNECTION_FAILED, NOT_LOOKED_AT, OTHER_SERVICE
from rollback.verification.checks.ports import ConnectionCheckPorts


def connection_checks(rollback: Rollback, ports: ConnectionCheckPorts) -> tuple[Check, ...]:
    """Check the connection of each service of the branch; no check where no data changed.

    Any proof passes, a refutation fails, and no evidence warns. An app's health route may only check that a variable
    is set, so a steady service and a healthy target prove nothing here.
    """
    if rollback.reconnection is None:
        return ()
    current_names = set(ports.settings.service_names)
    return tuple(
        _check_connection(connection, rollback, ports)
        for connection in rollback.reconnection.services
        if connection.service in current_names
    )


def _check_connection(connection: ServiceConnection, rollback: Rollback, ports: ConnectionCheckPorts) -> Check:
    name, service = f"connection-of-{connection.service}-works", ports.settings.service(connection.service)
    other_service = {OTHER_SERVICE: connection.service} if connection.service != rollback.service_name else {}
    if connection.failure is not None:
        evidence = {CONNECTION_FAILED: connection.service, **other_service}
        return Check.failed(name, f"{connection.failure}; {suggest_fix(service)}", evidence=evidence)
    if connection.note and connection.reconnected_at is None:
        return Check.skipped(name, connection.note)
    answers = [] if service.connection.check_path is None else [_probe_endpoint(service, ports)]
    refutations = [reason for is_well, reason in answers if not is_well]
    if refutations:
        return Check.failed(name, "; ".join(refutations), evidence=other_service)
    proofs = [*_describe_proof(connection, service.connection), *(reason for _, reason in answers)]
    if proofs:
        return Check.passed(name, "; ".join(proofs), evidence=other_service)
    reason = f"not checked: {connection.note or _how_to_prove(service)}"
    return Check.warned(name, reason, evidence={NOT_LOOKED_AT: connection.service, **other_service})


def _describe_proof(connection: ServiceConnection, settings: ConnectionSettings) -> list[str]:
    """Describe the proofs that the database function found."""
    proofs = []
    if connection.proof is not None:
        proofs.append(f"{' '.join(settings.command)} ended with exit code 0")
    if connection.session_seen_at is not None:
        at = f"{connection.session_seen_at:%H:%M:%S} UTC"
        proofs.append(f"a session named {settings.application_name} was active on the branch at {at}")
    return proofs


def _probe_endpoint(service: ServiceSettings, ports: HasHttp) -> tuple[bool, str]:
    connection = service.connection
    if service.base_url is None:
        return False, f"no base_url is set, so {connection.check_path} can't be requested"
    url = f"{service.base_url.rstrip('/')}{connection.check_path}"
    answer = ports.http.get(url, connection.check_max_latency_seconds, with_body=connection.check_body is not None)
    return _judge_answer(answer, connection)


def _judge_answer(answer: ProbeResult, connection: ConnectionSettings) -> tuple[bool, str]:
    path = connection.check_path
    if answer.status != connection.check_status:
        result = answer.status if answer.status is not None else answer.error
        return False, f"{path} answered {result}, expected {connection.check_status}"
    if connection.check_body is not None and connection.check_body not in answer.body:
        return False, f"{path} answered {answer.status} without {connection.check_body!r}"
    return True, f"{path} answered {answer.status}{' with the expected text' if connection.check_body else ''}"


def suggest_fix(service: ServiceSettings) -> str:
    """The command that replaces tasks with possibly stale connections, for an operator."""
    return (
        f"replace the tasks of {service.name}: `aws ecs update-service --cluster {service.cluster} "
        f"--service {service.ecs_service} --force-new-deployment`"
    )


def _how_to_prove(service: ServiceSettings) -> str:
    return (
        f"health checks of {service.name} may pass without a database; to prove its connection, set "
        "connection.check_path, connection.command or connection.application_name"
    )
