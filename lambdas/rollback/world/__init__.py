"""The outside, one small adapter each. Clients are made in `bootstrap`, nowhere else."""
