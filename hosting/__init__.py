"""What both services of the clinic do above their databases: start, serve, and tell failures as statuses."""
