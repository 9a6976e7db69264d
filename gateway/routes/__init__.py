"""The routes: each says what it takes and gives, calls its upstream, and shapes the answer."""
