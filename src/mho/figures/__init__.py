"""Figures of runs and calibrations."""
