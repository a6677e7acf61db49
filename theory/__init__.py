"""Symbolic predictions: what should happen."""
