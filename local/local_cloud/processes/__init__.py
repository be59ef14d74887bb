"""Child processes, temporary folders and signals: nothing of the embedded cloud outlives its process.

`child_processes` starts and ends every child, `owned_folders` makes and removes every folder, and `orderly_exit` turns
terminating signals into exceptions that let both clean up. This package knows nothing of AWS or Neon.
"""
