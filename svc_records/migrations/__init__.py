"""The schema's history: each script only adds, so that the version before can go on serving meanwhile."""
