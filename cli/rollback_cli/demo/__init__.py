"""The embedded cloud with our stacks in it: what `rollback demo` and `rollback local up` put on."""
