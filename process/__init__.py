"""What every process of the clinic does: read its settings once, run until told to stop, end in time."""
