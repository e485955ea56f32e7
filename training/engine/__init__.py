"""The loop and what it stands on: validation, checkpoints, the live table."""
