"""Numbers: random streams, threads, and the scalar functions that compiled code is made of."""
