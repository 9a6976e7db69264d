"""Stand-ins that behave as what they stand for."""
