"""What every route shares: the edge, problems, ids, bodies, OpenAPI and the server under them."""
