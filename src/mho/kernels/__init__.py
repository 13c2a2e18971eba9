"""Compiled code: response laws lowered to scalar float32 functions, and the loops that call them."""
