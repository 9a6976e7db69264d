"""A Synthea folder of CSV files, read strictly and turned into rows for the REST API."""
