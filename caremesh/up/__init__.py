"""`caremesh up`: starts the processes of caremesh.toml, keeps them running, stops them in order."""
