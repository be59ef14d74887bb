"""The bucket of stored reports: nobody outside reads it, it forgets by age, and it outlives the stack."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_kms as kms
from constructs.conftest import _assembly
from constructs.test_access import actions, statements

from rollback_constructs.settings.environment import Configuration, InvalidSettings
from rollback_constructs.storage.report_bucket import ReportBucket, ReportSettings

STACK = "MacroAiProductionRollbackStack"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
FUNCTIONS = ("decide", "service", "report", "promote")


def bucket_of(settings: ReportSettings | None = None, key_arn: str | None = None) -> tuple[dict[str, Any], Any]:
    """Return the bucket's resource, and the statements of its policy."""
    stack = cdk.Stack()
    key = kms.Key.from_key_arn(stack, "Key", key_arn) if key_arn is not None else None
    ReportBucket(stack, "Reports", settings=settings or ReportSettings(), key=key)
    template = assertions.Template.from_stack(stack)
    (bucket,) = template.find_resources("AWS::S3::Bucket").values()
    (policy,) = template.find_resources("AWS::S3::BucketPolicy").values()
    return dict(bucket), policy["Properties"]["PolicyDocument"]["Statement"]


def test_the_bucket_is_private_and_has_no_access_lists() -> None:
    properties = bucket_of()[0]["Properties"]
    assert properties["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_nobody_reads_or_writes_without_tls_and_nobody_else_is_let_in() -> None:
    (statement,) = bucket_of()[1]
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", {"AWS": "*"})
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2, "the bucket and its objects"


@pytest.mark.parametrize(("key_arn", "algorithm"), [(None, "AES256"), (KEY, "aws:kms")])
def test_every_report_is_encrypted_by_the_teams_key_if_there_is_one(key_arn: str | None, algorithm: str) -> None:
    (rule,) = bucket_of(key_arn=key_arn)[0]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    default = rule["ServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key_arn} if key_arn else {})}
    assert rule.get("BucketKeyEnabled") is (True if key_arn else None)


def test_an_overwritten_report_is_kept_for_a_month_and_each_report_for_the_days_of_the_settings() -> None:
    properties = bucket_of(ReportSettings(report_days=90))[0]["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 90)
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_the_bucket_outlives_the_stack_and_its_replacement() -> None:
    bucket, _ = bucket_of()
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("days", [0, 4_000])
def test_a_wrong_age_is_refused_with_its_path(days: int) -> None:
    context = json.loads((Path(__file__).parents[3] / "cdk.json").read_text())["context"]
    context["rollback:environments"] = "production"
    production = {**context["environments"]["production"], "reports": {"report_days": days}}
    with pytest.raises(InvalidSettings, match=r"reports\.report_days"):
        Configuration.read({**context, "environments": {"production": production}})


def template_with(overrides: dict[str, Any]) -> dict[str, Any]:
    folder = _assembly({"rollback:environments": "production", "rollback:overrides": overrides})
    return dict(json.loads((Path(folder) / f"{STACK}.template.json").read_text()))


def functions_with_the_bucket(template: dict[str, Any]) -> set[str]:
    return {
        function
        for function in FUNCTIONS
        for statement in statements(template, function)
        if actions(statement) & {"s3:PutObject"}
    }


def test_the_report_function_alone_stores_reports(templates: dict[str, dict[str, Any]]) -> None:
    assert functions_with_the_bucket(templates[STACK]) == {"report"}


def test_the_function_uses_the_teams_key_through_s3_only() -> None:
    template = template_with({"keys": {"reports": KEY}})
    (statement,) = [s for s in statements(template, "report") if KEY in json.dumps(s["Resource"])]
    assert actions(statement) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert "kms:ViaService" in json.dumps(statement["Condition"])
    assert "s3." in json.dumps(statement["Condition"])


def test_without_stored_reports_there_is_no_bucket_and_no_permission() -> None:
    template = template_with({"reports": {"store": False}})
    assert not [one for one in template["Resources"].values() if one["Type"] == "AWS::S3::Bucket"]
    assert functions_with_the_bucket(template) == set()
