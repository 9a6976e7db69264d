"""What the databases of both services share: transactions, documents with versions, pages, rules, migrations.

It knows neither gRPC nor what a record or a prescription is.
"""
