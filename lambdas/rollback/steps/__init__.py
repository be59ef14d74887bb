"""The steps of a rollback: each looks at the document and the world, and does the next safe thing."""
