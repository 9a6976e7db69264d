"""`caremesh mail`: what became of letters, what a person decides about one, and what the sink's inbox holds."""
