"""Attention, and transformers that are made of it."""
