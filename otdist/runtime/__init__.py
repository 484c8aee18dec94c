"""Memory, deadlines, threads, progress, imports and files of the running process."""
