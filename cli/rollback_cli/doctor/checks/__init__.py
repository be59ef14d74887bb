"""The checks of `rollback doctor`, one file for each group."""
