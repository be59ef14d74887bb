"""What the command does for a job of GitHub Actions: outputs of a step, the requester's name, and a deployment."""
