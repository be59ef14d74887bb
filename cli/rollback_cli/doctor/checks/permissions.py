"""Permissions of each function's role, simulated by IAM on the environment's real resources."""

from functools import partial

from rollback_cli.doctor.definitions import definitions_in_use, repositories_of
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter
from rollback_cli.doctor.required_permissions import Need, Resources, ServiceResources, needs_of
from rollback_cli.doctor.simulate import denied_permissions

_SHOWN = 8  # denied permissions in one line


def permission_questions(x: Examination) -> list[Question]:
    """Ask, for each function, whether it is ready and whether its role may do everything that it needs."""
    return [question(Group.PERMISSIONS, f"{name}-may-act", partial(_may_act, name, x)) for name in x.functions]


def _may_act(function: str, x: Examination, report: Reporter) -> list[Finding]:
    name = x.function_name(function)
    configuration = x.aws.call("lambda", "GetFunctionConfiguration", FunctionName=name)
    resources = Resources(
        settings=x.settings,
        place=x.place,
        table=x.deployment.ledger_table,
        workflow_arn=x.deployment.workflow_arn,
        services=tuple(_resources_of_service(service.name, x) for service in x.settings.services),
        variables=(configuration.get("Environment") or {}).get("Variables") or {},
    )
    needs = needs_of(function, resources)
    denied = denied_permissions(str(configuration["Role"]), needs, x.aws)
    findings = [_judge(denied, needs, str(configuration["Role"]), x, report)]
    states = (configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful"))
    if states != ("Active", "Successful"):
        why = configuration.get("StateReason") or configuration.get("LastUpdateStatusReason") or "no reason is given"
        seen = f"the function {name} is {states[0]}, its last update {states[1]}: {why}"
        findings.append(report.failed(seen, f"run `cdk deploy {x.stack_name}` again"))
    return findings


def _judge(denied: list[str], needs: tuple[Need, ...], role_arn: str, x: Examination, report: Reporter) -> Finding:
    role = role_arn.rsplit("/", 1)[-1]
    if not denied:
        count = sum(len(need.actions) * len(need.resources) for need in needs)
        return report.passed(f"IAM allows {role} all {count} actions that it needs on their resources")
    more = f", and {len(denied) - _SHOWN} more" if len(denied) > _SHOWN else ""
    to_do = f"run `cdk deploy {x.stack_name}` again"
    if any("iam:PassRole" in item for item in denied):
        to_do += "; if a role is new, add its ARN to task_role_arns or execution_role_arns of `existing` first"
    return report.failed(f"IAM denies {role}: {', '.join(denied[:_SHOWN])}{more}", to_do)


def _resources_of_service(name: str, x: Examination) -> ServiceResources:
    service = x.settings.service(name)
    definitions = definitions_in_use(service, x.ports)
    return ServiceResources(
        service=service,
        roles=tuple(dict.fromkeys(role for definition in definitions for role in definition.roles)),
        repositories=repositories_of(definitions, x.place.partition),
        buckets=tuple(dict.fromkeys(bucket for definition in definitions for bucket in definition.buckets)),
        log_groups=tuple(dict.fromkeys(group for definition in definitions for group in definition.log_groups)),
    )
