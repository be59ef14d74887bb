"""Shell of the command: catalogue of verbs, options that every verb has, completion, and exit codes."""
