"""Records that describe a cell: its device, spread, retention, pulses and converters."""
