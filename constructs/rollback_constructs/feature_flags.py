"""Feature flags of the CDK with which the templates are tested: those of the repository's `cdk.json`.

The app of the installed package sets them, since an adopter's `cdk.json` need not have them. A flag there wins.
"""

from collections.abc import Mapping

FEATURE_FLAGS: Mapping[str, bool | str] = {
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    "@aws-cdk/aws-ecs:removeDefaultDesiredCount": True,
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-ecs:arnFormatIncludesClusterName": True,
}
