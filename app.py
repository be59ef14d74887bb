"""The CDK app: for each environment in `cdk.json`, its stacks. Run by `cdk synth` and `cdk deploy`."""

from stacks.assembly import build
from stacks.environment import InvalidSettings

if __name__ == "__main__":
    try:
        app = build()
    except InvalidSettings as error:
        raise SystemExit(str(error)) from None
    app.synth()
