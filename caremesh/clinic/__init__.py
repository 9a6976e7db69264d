"""A small made-up clinic: the same seed makes the same patients, doctors and histories."""
