"""Experiments of arXiv 2602.21321: symmetric points, zero-shifting, RIDER and E-RIDER."""
