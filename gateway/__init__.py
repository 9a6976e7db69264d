"""REST in, mesh calls out: the clinic's front door."""
