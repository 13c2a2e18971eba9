"""Layers with time steps."""
