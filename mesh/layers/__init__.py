"""The layers of a call, outermost first: deadline, retry, balance, and inside each endpoint breaker, attempt."""
