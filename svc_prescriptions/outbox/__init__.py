"""Letters on their way: what a version of a prescription means for its mail, and the worker that sends it.

A write leaves what it means for the mail in its own transaction (`intents`, `deliveries`); the worker takes it from
there (`claims`, `worker`) and writes down what became of it (`outcomes`).
"""
