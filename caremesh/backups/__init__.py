"""`caremesh backup` and `caremesh restore`: the clinic's databases as one folder of copies."""
