"""The demo environment: the embedded cloud with our stacks deployed, for `rollback demo` and `rollback local up`."""
