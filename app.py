"""The CDK app, which `cdk synth` and `cdk deploy` run: the stacks of each environment in `cdk.json`."""

from stacks.__main__ import main

if __name__ == "__main__":
    main()
