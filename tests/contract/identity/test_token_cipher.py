"""Task tokens under the key of an environment, in the embedded KMS."""

import json
import uuid

import pytest
from contract.real_ports import real_ports

from local_cloud.deployment.server import LocalCloud
from local_cloud.iam import credentials
from rollback.adapters.aws.kms import KmsTokenCipher
from rollback.errors import CallRefused, NotAvailable

TOKEN = "AAAAKgAAAAIAAAAA" * 60


@pytest.fixture
def key_arn(cloud: LocalCloud) -> str:
    arn: str = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


def test_a_token_comes_back_for_its_rollback(cloud: LocalCloud, key_arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cipher = real_ports(cloud, monkeypatch, approvals_key_arn=key_arn).token_cipher
    ciphertext = cipher.encrypt("web-1", TOKEN)

    assert TOKEN.encode() not in ciphertext
    assert cipher.decrypt("web-1", ciphertext) == TOKEN


def test_a_token_of_another_rollback_is_refused(
    cloud: LocalCloud, key_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cipher = real_ports(cloud, monkeypatch, approvals_key_arn=key_arn).token_cipher

    with pytest.raises(CallRefused):
        cipher.decrypt("web-2", cipher.encrypt("web-1", TOKEN))


def test_without_a_key_no_token_is_stored(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cipher = real_ports(cloud, monkeypatch).token_cipher

    with pytest.raises(NotAvailable, match="APPROVALS_KEY_ARN"):
        cipher.encrypt("web-1", TOKEN)


def test_a_token_that_kms_would_not_take_is_not_sent(cloud: LocalCloud, key_arn: str) -> None:
    with pytest.raises(NotAvailable, match="too long"):
        KmsTokenCipher(cloud.client("kms"), key_arn).encrypt("web-1", "t" * 4097)


def test_a_role_may_do_what_its_policy_says_about_the_key(cloud: LocalCloud, key_arn: str) -> None:
    name = f"decide-{uuid.uuid4().hex[:8]}"
    iam = cloud.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    statement = {
        "Effect": "Allow",
        "Action": "kms:Encrypt",
        "Resource": key_arn,
        "Condition": {
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["rollback_id"]},
            "Null": {"kms:EncryptionContextKeys": "false"},
        },
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    client = credentials.service_client("kms", cloud.region, role["Role"]["Arn"])
    cipher = KmsTokenCipher(client, key_arn)
    ciphertext = cipher.encrypt("web-1", TOKEN)

    with pytest.raises(CallRefused, match="kms:Decrypt"):
        cipher.decrypt("web-1", ciphertext)
    assert KmsTokenCipher(cloud.client("kms"), key_arn).decrypt("web-1", ciphertext) == TOKEN
