"""The clinic's messages: `*.proto`, what is generated from them, and the codec that carries them."""
