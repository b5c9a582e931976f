"""The demo, and the cluster workflow: the same commands in a row."""
