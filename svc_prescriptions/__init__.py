"""Prescriptions: what a prescriber ordered for a patient."""
