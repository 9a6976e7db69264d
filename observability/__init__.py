"""What happened, told so that it can be followed: traces and logs, made by listeners of `mesh.events`.

Nothing here ever tells patient data: spans and log lines carry route templates, method paths, addresses,
counts and reasons, and an exception only by its type and place.
"""
