"""The registry process. Its state is soft: services announce themselves again after it was away."""
