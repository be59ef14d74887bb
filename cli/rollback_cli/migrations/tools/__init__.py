"""One migration tool, one file: how its folder looks, and how its journal names a migration."""
