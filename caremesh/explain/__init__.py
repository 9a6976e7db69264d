"""`caremesh explain`: one request's story, from the events that its gateway remembers, in words."""
