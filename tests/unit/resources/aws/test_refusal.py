"""AWS's access denied messages: their parts, and the sentence of the report."""

import json

import pytest

from rollback.errors import RefusalKind
from rollback.resources.aws.refusal import Denial, iam_statement, refused

ROLE = "arn:aws:sts::123456789012:assumed-role/macro-ai-production-service/rollback"
SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/prod/web"
POLICY = "arn:aws:organizations::123456789012:policy/o-1/service_control_policy/p-1"


def denial_message(wording: str, resource_clause: str = f" on resource: {SERVICE}") -> str:
    return f"User: {ROLE} is not authorized to perform: ecs:UpdateService{resource_clause}{wording}"


def sentence(message: str, target: str = "prod/web") -> str:
    return str(refused("ecs:UpdateService", target, "AccessDeniedException", message, RefusalKind.ACCESS))


@pytest.mark.parametrize(
    ("wording", "is_explicit"),
    [
        ("", False),
        (" because no identity-based policy allows the ecs:UpdateService action", False),
        (" because no permissions boundary allows the ecs:UpdateService action", False),
        (" because no session policy allows the ecs:UpdateService action", False),
        (" because no service control policy allows the ecs:UpdateService action", False),
        (" because no VPC endpoint policy allows the ecs:UpdateService action", False),
        (" with an explicit deny in an identity-based policy", True),
        (" with an explicit deny", True),
        (f" with an explicit deny in a service control policy: {POLICY}", True),
    ],
)
def test_each_wording_of_a_denial_is_parsed(wording: str, *, is_explicit: bool) -> None:
    denial = Denial.parse(denial_message(wording))
    assert denial == Denial("ecs:UpdateService", SERVICE, ROLE, wording.strip())
    assert denial.is_explicit is is_explicit


@pytest.mark.parametrize(
    ("message", "action", "resource"),
    [
        (
            denial_message(" because no identity-based policy allows the action", resource_clause=""),
            "ecs:UpdateService",
            "",
        ),
        (f'is not authorized to perform: sns:Publish on resource: "{SERVICE}"', "sns:Publish", SERVICE),
        (f"User: x is not authorized to perform: kms:Decrypt on resource: {SERVICE}.", "kms:Decrypt", SERVICE),
        (f"{denial_message('')}\n  (Service: AmazonECS)", "ecs:UpdateService", SERVICE),
    ],
)
def test_a_denial_with_missing_or_added_parts_is_parsed(message: str, action: str, resource: str) -> None:
    denial = Denial.parse(message)
    assert denial is not None
    assert (denial.action, denial.resource) == (action, resource)


@pytest.mark.parametrize("message", ["", "You are not authorized to perform this operation.", "Access Denied"])
def test_an_unknown_wording_of_a_denial_is_reported_unchanged(message: str) -> None:
    assert Denial.parse(message) is None
    text = sentence(message)
    assert text.startswith("AWS refused ecs:UpdateService on prod/web (AccessDeniedException: ")
    assert text.endswith('add to the caller\'s policy: {"Effect":"Allow","Action":"ecs:UpdateService","Resource":"*"}')


def test_a_missing_permission_is_reported_with_the_iam_statement_that_grants_it() -> None:
    assert sentence(denial_message(" because no identity-based policy allows the ecs:UpdateService action")) == (
        f"AWS refused ecs:UpdateService on {SERVICE} to role macro-ai-production-service because no identity-based "
        "policy allows the ecs:UpdateService action (AccessDeniedException); add to the identity-based policy: "
        f'{{"Effect":"Allow","Action":"ecs:UpdateService","Resource":"{SERVICE}"}}'
    )


def test_an_explicit_deny_offers_no_iam_statement() -> None:
    text = sentence(denial_message(f" with an explicit deny in a service control policy: {POLICY}"))
    assert "Allow" not in text
    assert f"with an explicit deny in a service control policy: {POLICY} (AccessDeniedException); an explicit" in text


def test_a_call_that_needs_another_permission_names_both() -> None:
    role = "arn:aws:iam::123456789012:role/task"
    message = f"User: {ROLE} is not authorized to perform: iam:PassRole on resource: {role}"
    error = refused("ecs:RegisterTaskDefinition", "web", "ClientException", message, RefusalKind.ACCESS)
    assert str(error).startswith(f"AWS refused iam:PassRole on {role}, for ecs:RegisterTaskDefinition on web, to role")
    assert (error.action, error.resource) == ("iam:PassRole", role)


def test_a_resources_own_policy_must_name_the_role() -> None:
    text = sentence(denial_message(" because no resource-based policy allows the ecs:UpdateService action"))
    statement = json.loads(text.partition("add to the resource-based policy: ")[2])
    assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:role/macro-ai-production-service"}


@pytest.mark.parametrize(
    ("kind", "mended_by"),
    [
        (RefusalKind.CREDENTIALS, "aws sso login"),
        (RefusalKind.NOT_FOUND, "check that name in the settings"),
        (RefusalKind.QUOTA, "higher quota"),
        (RefusalKind.REQUEST, "correct what AWS names"),
    ],
)
def test_every_kind_of_refusal_names_the_action(kind: RefusalKind, mended_by: str) -> None:
    error = refused("ecs:UpdateService", "prod/web", "Code", "first line\n\tsecond\x1b[31m line\x00", kind)
    assert str(error).startswith(
        "AWS refused ecs:UpdateService on prod/web (Code: first line second\ufffd[31m line\ufffd); "
    )
    assert mended_by in str(error)


def test_a_long_refusal_message_is_truncated() -> None:
    assert len(str(refused("a:B", "on", "C", "x" * 100_000, RefusalKind.REQUEST))) < 1000


def test_a_name_that_is_not_an_arn_is_not_a_resource_of_a_policy() -> None:
    assert json.loads(iam_statement("ecs:UpdateService", "prod/web"))["Resource"] == "*"
