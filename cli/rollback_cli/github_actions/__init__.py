"""Parts of the command for jobs of GitHub Actions: outputs of a step, the requester's name, and a deployment."""
