"""Output of the reading verbs: a document for each verb, as a table, as lines for `cut` and `grep`, as JSON or YAML."""
