"""A repository's migrations, read where the files are: in a pipeline or on a desk, never in a function."""
