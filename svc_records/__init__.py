"""Patient records: what a doctor wrote about a patient on a day."""
