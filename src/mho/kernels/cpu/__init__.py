"""Compiled loops for the CPU."""
