"""What the mesh is worth, measured: one load generator, one report. `make resilience` and `make bench`."""
