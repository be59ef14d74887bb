"""The impact of SQL on the releases before it, read from its text."""
