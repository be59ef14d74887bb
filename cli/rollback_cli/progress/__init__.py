"""Progress of a rollback, as it is printed while an operator watches."""
