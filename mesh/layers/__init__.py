"""The layers of a call, outermost first: deadline, retry, balance; inside each endpoint measure, breaker, attempt."""
