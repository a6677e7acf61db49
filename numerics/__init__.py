"""Compiled measurements: what does happen."""
