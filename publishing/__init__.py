"""Sources of the documentation site: the generated references, and the hooks of MkDocs."""
