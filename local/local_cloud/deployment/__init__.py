"""The embedded cloud as a whole: its server on one port, and the deployment of a CDK cloud assembly into it.

`server.LocalCloud` starts moto's HTTP server with all fixes and simulations. `deploy` does the work of `cdk deploy`
through CloudFormation's API, templates unchanged. Not simulated: the bootstrap stack (only its bucket and version
parameter exist), and container image assets.
"""
