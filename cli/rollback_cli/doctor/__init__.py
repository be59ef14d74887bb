"""`rollback doctor`: whether an environment would really roll back tonight."""
