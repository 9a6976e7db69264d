"""Decisions: numbers and time in, a decision out. Nothing here waits, sends or reads a clock."""
