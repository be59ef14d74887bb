"""A wrong setting fails synth with its path, the value and what is allowed."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.environment import Settings
from rollback.domain.settings.packed import parse_settings
from rollback.domain.settings.policy import Policy
from rollback_constructs.functions.function_settings import compact
from rollback_constructs.settings.environment import Application, Configuration, InvalidSettings, merge
from stacks.assembly import PROJECT, project_context

CONTEXT = project_context()
NUMBERS = sorted(
    name for name, field in Policy.model_fields.items() if field.annotation in {int, float} and field.metadata
)


def with_production(change: dict[str, Any]) -> dict[str, Any]:
    context = copy.deepcopy(CONTEXT)
    context["environments"]["production"] = merge(context["environments"]["production"], change)
    return context


def refusal(context: dict[str, Any]) -> str:
    with pytest.raises(InvalidSettings) as error:
        Configuration.read(context)
    return str(error.value)


@given(name=st.sampled_from(NUMBERS), value=st.floats(min_value=-1e6, max_value=-0.001))
def test_a_number_out_of_range_is_named_with_its_limit(name: str, value: float) -> None:
    text = refusal(with_production({"policy": {name: value}}))
    assert f"environments.production.policy.{name}" in text
    assert repr(value) in text
    assert "allowed is more than" in text or "allowed is at least" in text or "allowed is a whole number" in text


@given(name=st.text(alphabet="abcdefghij_", min_size=3, max_size=20))
def test_a_misspelt_setting_is_refused_by_its_path(name: str) -> None:
    text = refusal(with_production({"alarms": {name: 1}}))
    assert f"environments.production.alarms.{name}" in text
    assert "is not a setting" in text


@given(value=st.text(max_size=10).filter(lambda text: text not in {"act", "observe"}))
def test_a_wrong_choice_is_refused_with_the_valid_choices(value: str) -> None:
    text = refusal(with_production({"policy": {"mode": value}}))
    assert "environments.production.policy.mode" in text
    assert "'act' or 'observe'" in text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(base=json_values)
def test_merging_a_document_into_itself_changes_nothing(base: Any) -> None:
    assert merge(base, base) == base


@given(base=st.dictionaries(st.text(max_size=5), json_values), over=st.dictionaries(st.text(max_size=5), st.integers()))
def test_an_override_replaces_its_members_and_leaves_the_others(base: dict[str, Any], over: dict[str, int]) -> None:
    assert merge(base, over) == base | over


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"policy": {"act_timeout_seconds": 600}}, "less than lease_minutes"),
        ({"workflow_timeout_minutes": 20}, "more than the steps' limits together"),
        ({"policy": {"alarm_settle_minutes": 10}}, "more than alarm_settle_minutes"),
        ({"alarms": {"datapoints_to_alarm": 9}}, "more than evaluation_periods"),
        ({"triggers": {"janitor_minutes": 60}, "watch": {"no_target_sweeps": 25}}, "limit of a day"),
        ({"account": "123456789012", "region": "eu-west-1"}, "availability_zones is empty"),
        (
            {"functions": {"report_in_vpc": {}}},
            "report_in_vpc has the new name probes_in_vpc, since promote probes the service too",
        ),
        ({"functions": {"reserved_concurrency": {"service": 0}}}, "functions.reserved_concurrency.service"),
        ({"functions": {"reserved_concurrency": {"report": 2}}}, "functions.reserved_concurrency.report is 2"),
        ({"keys": {"ledger": "alias/mine"}}, "environments.production.keys.ledger"),
        (
            {"services": [{"smoke_command": ["pnpm", "smoke"], "smoke_timeout_seconds": 600}]},
            "allowed is less than policy.verify_timeout_minutes, 600 seconds",
        ),
        ({"services": [{"endpoints": [{"path": "/health", "body_pattern": "("}]}]}, "regular expression"),
        ({"services": [{"endpoints": [{"path": "/health", "probes": 0}]}]}, "endpoints.0.probes is 0"),
        (
            {"services": [{"endpoints": [{"path": "/health", "max_latency_seconds": 10.5}]}]},
            "endpoints /health: max_latency_seconds is 10.5; allowed is at most 10",
        ),
        ({"services": [{"workload": None}]}, "exactly one of existing and workload"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(change: dict[str, Any], expected: str) -> None:
    assert expected in refusal(with_production(change))


def test_an_unknown_environment_is_refused_with_the_known_environments() -> None:
    text = refusal(CONTEXT | {"rollback:environments": "prodution"})
    assert "prodution unknown; allowed: production, staging, feature" in text


def test_overrides_reach_inside_a_service_and_leave_the_others() -> None:
    over = {"services": [{"base_url": "http://localhost:1"}], "policy": {"bake_minutes": 0.1}}
    context = CONTEXT | {"rollback:overrides": json.dumps(over), "rollback:environments": "production"}
    configuration = Configuration.read(context)
    assert list(configuration.environments) == ["production"]
    (service,) = configuration.environments["production"].services
    assert (service.base_url, service.cluster) == ("http://localhost:1", "macro-ai-production-cluster")
    assert configuration.environments["production"].policy.bake_minutes == 0.1


def test_an_image_tag_from_the_command_line_reaches_the_workload() -> None:
    configuration = Configuration.read(CONTEXT | {"image_tag": "v1.2.3"})
    for environment in configuration.environments.values():
        (service,) = environment.services
        assert service.workload is not None
        assert service.workload.image_tag == "v1.2.3"


def test_the_functions_read_the_settings_of_their_environment(templates: dict[str, Any]) -> None:
    configuration = Configuration.read(CONTEXT)
    template = templates["MacroAiProductionRollbackStack"]
    functions = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function"]
    assert len(functions) == 4
    urls = {"express-api": "http://balancer.example"}
    expected = configuration.environments["production"].runtime_settings(
        configuration.application, "production", urls, "MacroAiProductionStack"
    )
    for function in functions:
        parts = function["Environment"]["Variables"]["ROLLBACK_SETTINGS"]["Fn::Join"][1]
        text = "".join(part if isinstance(part, str) else "balancer.example" for part in parts)
        assert Settings.model_validate_json(text) == expected


ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
DATABASE = {"project_id": "quiet-sun-1", "branch_id": "br-main-1", "api_key_secret_arn": f"{ARN}neon-key-AbCdEf"}
RESET = {**DATABASE, "strategy": "reset", "source_branch_id": "br-other-1"}
PULL_REQUESTS = {**RESET, "branch_id": None, "branch_pattern": "preview/pr-{pr}"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"database": {**DATABASE, "branch_pattern": "preview/pr-{pr}"}},
            "exactly one of branch_id and branch_pattern",
        ),
        ({"database": {**DATABASE, "strategy": "reset"}}, "needs source_branch_id"),
        ({"database": {**DATABASE, "strategy": "delete"}}, "can't be a default"),
        (  # https://neon.com/docs/guides/branch-expiration: 30 days at most
            {"database": {**DATABASE, "backup_days": 31}},
            "environments.production.database.backup_days is 31; allowed is at most 30",
        ),
        (
            {"database": {**DATABASE, "preview_hours": 721}},
            "environments.production.database.preview_hours is 721; allowed is at most 720",
        ),
        (
            {"database": {**DATABASE, "preview_hours": 0.25}},
            "database.preview_hours is 0.25: Neon would delete a preview that is needed; it must be longer than "
            "restore_timeout_minutes, 20",
        ),
        ({"database": {**DATABASE, "strategy": "auto"}}, "needs down_command"),
        (
            {"database": {**DATABASE, "writers": ["worker"]}},
            "database.writers names worker; allowed are express-api",
        ),
        ({"database": {**DATABASE, "api_key_secret_arn": "napi_abc"}}, "api_key_secret_arn"),
        (
            {"database": {**DATABASE, "api_key_secret_arn": f"{ARN}neonkey"}},
            f"database.api_key_secret_arn is '{ARN}neonkey'; allowed is a complete ARN",
        ),
        (
            {"database": {**DATABASE, "connection_secret_arn": f"{ARN}url-AbCdEf:URL::"}},
            f"database.connection_secret_arn is '{ARN}url-AbCdEf:URL::'; allowed is a complete ARN",
        ),
        ({"database": {**DATABASE, "verify_command": ["verify"]}}, "run after down_command, which is not"),
        ({"database": {**RESET, "strategy": "recreate"}}, "it needs connection_secret_arn"),
        (
            {"database": {**PULL_REQUESTS, "strategy": "restore"}},
            "database.strategy is 'restore'; for branches by branch_pattern allowed are reset, recreate",
        ),
        ({"database": PULL_REQUESTS, "policy": {"on_incompatible_schema": "full"}}, "with database.branch_pattern"),
        ({"policy": {"on_incompatible_schema": "full"}}, "without a database"),
        (
            {"database": DATABASE, "policy": {"database_timeout_seconds": 600}},
            "policy.database_timeout_seconds is 600; allowed is at most 900, and less than lease_minutes, 10",
        ),
        (
            {"database": DATABASE, "policy": {"database_timeout_seconds": 901, "lease_minutes": 60}},
            "policy.database_timeout_seconds is 901; allowed is at most 900",
        ),
        ({"database": DATABASE, "workflow_timeout_minutes": 245}, "more than the steps' limits together, 245"),
        (
            {"database": {**DATABASE, "down_command": ["down"]}, "workflow_timeout_minutes": 305},
            "more than the steps' limits together, 305",
        ),
    ],
)
def test_a_database_that_can_not_be_rolled_back_is_refused_at_synth(change: dict[str, Any], expected: str) -> None:
    text = refusal(with_production(change))
    assert "environments.production" in text
    assert expected in text


@pytest.mark.parametrize(
    "change",
    [
        {"database": RESET},
        {"database": PULL_REQUESTS},
        {"database": {**RESET, "strategy": "recreate", "writers": []}},
        {"database": {**RESET, "strategy": "recreate", "connection_secret_arn": f"{ARN}url-AbCdEf"}},
        {"database": DATABASE, "policy": {"on_incompatible_schema": "full"}},
        {"database": DATABASE, "policy": {"database_timeout_seconds": 900, "lease_minutes": 16}},
        {"database": DATABASE, "workflow_timeout_minutes": 245.1},
        {"database": {**DATABASE, "down_command": ["down"]}, "workflow_timeout_minutes": 305.1},
    ],
)
def test_a_database_that_can_be_rolled_back_is_accepted(change: dict[str, Any]) -> None:
    Configuration.read(with_production(change))


def read_two_services(database: dict[str, Any] | None, **connections: dict[str, Any]) -> Configuration:
    """Read production with a second service, and with these settings of the services' connections."""
    production = Configuration.read(CONTEXT).environments["production"].model_dump(mode="json", exclude_defaults=True)
    first = production["services"][0]
    attachment = {
        "load_balancer": "app/others/0123456789abcdef", "target_groups": ["targetgroup/reports/0123456789abcdef"],
        "execution_role_arns": ["arn:aws:iam::123456789012:role/reports"], "log_group": "/reports",
        "repository": "reports",
    }  # fmt: skip
    second = {"name": "reports", "cluster": "c", "ecs_service": "reports", "container": "api", "existing": attachment}
    services = [
        {**service, "connection": connections.get(str(service["name"]).replace("-", "_"), {})}
        for service in (first, second)
    ]
    return Configuration.read({**CONTEXT, "environments": {"production": {"services": services, "database": database}}})


READ = {**DATABASE, "writers": ["express-api"], "readers": ["reports"]}


@pytest.mark.parametrize(
    ("database", "connections", "expected"),
    [
        ({**READ, "readers": ["billing"]}, {}, "database.readers names billing; allowed are express-api, reports"),
        ({**DATABASE, "readers": ["reports"]}, {}, "database.readers names reports, but these services are writers"),
        (
            {**DATABASE, "writers": ["express-api"]},
            {"reports": {"command": ["ping"]}},
            "services.connection is set for reports; name each of these services in database.writers",
        ),
        (READ, {"express_api": {"reconnect_command": ["r"]}}, "connection.reconnect_command is set for express-api"),
        (READ, {"reports": {"check_path": "/users/1"}}, "connection.check_path is set for reports; set the base_url"),
        (READ, {"reports": {"check_body": "ada"}}, "looked for in the answer of check_path, which is not"),
        (READ, {"reports": {"check_path": "users"}}, "connection.check_path is 'users'"),
        (None, {"reports": {"command": ["ping"]}}, "without a database there is nothing to connect to"),
    ],
)
def test_a_connection_that_can_not_be_renewed_or_proved_is_refused_at_synth(
    database: dict[str, Any] | None, connections: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidSettings) as error:
        read_two_services(database, **connections)
    assert expected in str(error.value)


def test_readers_and_their_connections_reach_the_functions() -> None:
    configuration = read_two_services(READ, reports={"command": ["ping"], "reconnect_command": ["reset"]})
    runtime_settings = configuration.environments["production"].runtime_settings(
        configuration.application, "production", {}, "stack"
    )
    assert [service.name for service in runtime_settings.readers()] == ["reports"]
    assert runtime_settings.service("reports").connection.command == ("ping",)
    assert runtime_settings.runs_connection_tasks


def test_the_workflows_timeout_has_room_for_each_service_that_is_reconnected() -> None:
    configuration = read_two_services(READ, reports={"command": ["ping"], "reconnect_command": ["reset"]})
    production = configuration.environments["production"].model_dump(mode="json", exclude_defaults=True)
    production["workflow_timeout_minutes"] = 275
    with pytest.raises(InvalidSettings, match="allowed is more than the steps' limits together, 275"):
        Configuration.read({**CONTEXT, "environments": {"production": production}})


def test_a_database_reaches_the_functions_with_its_settings() -> None:
    context = with_production({"database": DATABASE})
    production = Configuration.read(context).environments["production"]
    runtime_settings = production.runtime_settings(Configuration.read(context).application, "production", {}, "stack")
    assert runtime_settings.database is not None
    assert runtime_settings.database.branch_id == "br-main-1"
    assert [service.name for service in runtime_settings.writers()] == ["express-api"]


SERVICE = CONTEXT["environments"]["production"]["services"][0]
EXISTING = {
    "load_balancer": "app/shop/50dc6c495c0c9188",
    "target_groups": ["targetgroup/shop/6d0ecf831eec9f09"],
    "execution_role_arns": ["arn:aws:iam::123456789012:role/execution"],
    "log_group": "/shop",
    "repository": "shop/api",
}


def attachment(name: str, **instead: Any) -> dict[str, Any]:
    """Describe a service that another stack deploys, and that shares only the load balancer with others."""
    own_resources = {"target_groups": [f"targetgroup/{name}/6d0ecf831eec9f09"], "log_group": f"/{name}"}
    return {**EXISTING, **own_resources, **instead}


def existing_service(name: str, **instead: Any) -> dict[str, Any]:
    """Return the settings of a service that another stack deploys."""
    service = {"name": name, "cluster": "shop", "ecs_service": name, "container": "web", "existing": attachment(name)}
    return {**service, **instead}


def context_of_environments(**services: list[dict[str, Any]]) -> dict[str, Any]:
    return {"environments": {name.replace("_", "-"): {"services": settings} for name, settings in services.items()}}


A, B = existing_service("a"), existing_service("b")


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (
            context_of_environments(production=[A], staging=[existing_service("z", ecs_service="a")]),
            "environments.production.services.a and environments.staging.services.z are the same ECS service, shop/a",
        ),
        (context_of_environments(production=[A, existing_service("b", ecs_service="a")]), "are the same ECS service"),
        (
            context_of_environments(
                production=[
                    A,
                    existing_service("b", existing=attachment("b", target_groups=["targetgroup/a/6d0ecf831eec9f09"])),
                ]
            ),
            "have the same target group, targetgroup/a/6d0ecf831eec9f09",
        ),
        (
            context_of_environments(production=[A, existing_service("b", existing=attachment("b", log_group="/a"))]),
            "log to one group, /a, and would count each other's errors",
        ),
        (
            context_of_environments(production=[existing_service("eu-api")], production_eu=[existing_service("api")]),
            "production.services.eu-api and environments.production-eu.services.api would give their alarms the same "
            "names, production-eu-api",
        ),
        (
            context_of_environments(production=[existing_service("a", load_balancer_shared=False), B]),
            "environments.production.services.a.load_balancer_shared is false, but",
        ),
        (
            context_of_environments(pr_1=[A], pr1=[B]),
            "environments.pr-1 and environments.pr1 would create the same stacks",
        ),
        (
            context_of_environments(
                production=[
                    existing_service(
                        "a", existing=attachment("a", target_groups=["targetgroup/a/6d0ecf831eec9f09"] * 2)
                    )
                ]
            ),
            "has a target group twice; allowed is each once",
        ),
        (
            context_of_environments(
                production=[
                    existing_service(
                        "a",
                        existing=attachment("a", target_groups=[f"targetgroup/{n}/6d0ecf831eec9f09" for n in range(9)]),
                    )
                ]
            ),
            "is a list of 9; allowed are at most 8",
        ),
    ],
)
def test_a_resource_of_two_services_is_refused_in_one_line(context: dict[str, Any], expected: str) -> None:
    text = refusal(context)
    assert expected in text
    assert len(text.splitlines()) == 2  # the first line says that the settings are not valid


def test_a_mistake_in_many_services_is_reported_in_a_few_lines() -> None:
    services = [existing_service(f"s{n}", existing=attachment(f"s{n}", log_group="/shop")) for n in range(20)]
    lines = refusal(context_of_environments(production=services)).splitlines()
    assert len(lines) == 1 + 5 + 1
    assert lines[-1].strip() == "and 185 more"


@pytest.mark.parametrize(
    "context",
    [
        context_of_environments(production=[A, B]),
        context_of_environments(production=[A], staging=[B]),
        context_of_environments(
            production=[A, existing_service("b", error_log_pattern="b ERROR", existing=attachment("b", log_group="/a"))]
        ),
        {
            "environments": {
                "production": {"services": [A], "account": "123456789012", "region": "eu-west-1"},
                "staging": {"services": [A], "account": "123456789012", "region": "us-east-1"},
            }
        },
    ],
    ids=["one balancer", "one balancer of two environments", "a log group with two patterns", "two regions"],
)
def test_resources_that_services_may_share_are_accepted(context: dict[str, Any]) -> None:
    for environment in Configuration.read(context).environments.values():
        assert all(service.shares_balancer for service in environment.services)


EVERYTHING: dict[str, Any] = {
    **DATABASE,
    "project_id": "a-long-and-winding-name-12345678",
    "branch_id": "br-a-long-and-winding-name-a1b2c3d4",
    "database": "macro_ai_production",
    "role": "macro_ai_production_owner",
    "strategy": "auto",
    "source_branch_id": "br-another-long-and-winding-name-a1b2c3d4",
    "writers": [f"service-number-{number}" for number in range(3)],
    "readers": ["service-number-3"],
    "connection_secret_arn": f"{ARN}macro-ai/production/database/connection-uri-AbCdEf",
    "connection_secret_key": "RELATIONAL_DATABASE_URL",
    "connection_secret_role_key": "RELATIONAL_DATABASE_ROLE",
    "connection_secret_password_key": "RELATIONAL_DATABASE_PASSWORD",
    "down_command": ["pnpm", "--filter", "express-api", "db:migrate:down", "--to", "{tag}"],
    "verify_command": ["pnpm", "--filter", "express-api", "db:verify"],
    "children": "move",
    "backup_days": 14,
    "report_keys": "keys",
    "carry_sequences": False,
    "journal_table": "drizzle.__drizzle_migrations",
    "verify_statements": [{"sql": "SELECT count(*) > 0 FROM users", "expect": "t", "description": "there are users"}],
    "probe_minutes": 15,
    **{
        name: field.default + 1
        for name, field in DatabaseSettings.model_fields.items()
        if field.annotation in {int, float}
    },
}


def test_four_services_and_every_setting_of_a_database_reach_the_functions() -> None:
    service = {key: value for key, value in SERVICE.items() if key != "workload"}
    connection = {"check_path": "/api/users/1", "check_body": "ada", "command": ["pnpm", "db:ping"]}
    service |= {"base_url": "https://api.example.com", "connection": {**connection, "application_name": "express-api"}}
    names = [*EVERYTHING["writers"], *EVERYTHING["readers"]]
    services = [{**service, "name": name, "ecs_service": name, "existing": attachment(name)} for name in names]
    context = copy.deepcopy(CONTEXT)
    production = {"services": services, "database": EVERYTHING, "workflow_timeout_minutes": 480}
    context["environments"]["production"] |= production
    assert not set(DatabaseSettings.model_fields) - {"branch_pattern", "api_url"} - set(EVERYTHING)
    runtime_settings = (
        Configuration.read(context)
        .environments["production"]
        .runtime_settings(Application(), "production", {}, "stack")
    )
    text = compact(runtime_settings)  # raises if the settings are too long
    assert len(runtime_settings.model_dump_json(exclude_defaults=True)) > 2000  # so they are packed
    assert parse_settings(text) == runtime_settings


GUIDE = PROJECT / "docs" / "database.md"


def test_the_sections_in_the_guide_can_be_pasted() -> None:
    """The guide has a section for each environment, in the order of `cdk.json`, with the secrets of the guide."""
    blocks = re.findall(r'^    "database": \{\n(?:      .*\n)+    \}$', GUIDE.read_text(), re.MULTILINE)
    sections = [json.loads(f"{{{block}}}")["database"] for block in blocks]
    context = copy.deepcopy(CONTEXT)
    for (name, environment), section in zip(context["environments"].items(), sections, strict=True):
        environment["database"] = section
        assert f":secret:macro-ai/{name}/neon-key-" in section["api_key_secret_arn"]
    configuration = Configuration.read(context)
    kinds = {
        name: (e.database.strategy, e.database.branch_id)
        for name, e in configuration.environments.items()
        if e.database
    }
    assert kinds == {
        "production": (Strategy.RESTORE, "br-main-abcdef"),
        "staging": (Strategy.RESET, "br-staging-abcdef"),
        "feature": (Strategy.RESET, None),
    }


def test_the_guide_names_only_settings_that_exist() -> None:
    table = GUIDE.read_text().partition("| Setting | Means |")[2].partition("\n\n")[0]
    documented_names = {
        name for row in table.splitlines() for name in re.findall(r"`([a-z_.]+)`", row.partition(" | ")[0])
    }
    setting_names = {*DatabaseSettings.model_fields, *(f"policy.{name}" for name in Policy.model_fields), "approval"}
    assert len(documented_names) > 5
    assert not documented_names - setting_names
