"""The compiler of response laws: from a traced method to source for the CPU, for float64 and for Triton."""
