"""The sink: an SMTP server for one machine. It takes every letter and brings it to nobody."""
