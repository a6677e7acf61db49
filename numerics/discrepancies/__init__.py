"""Distances between distributions on the sphere."""
