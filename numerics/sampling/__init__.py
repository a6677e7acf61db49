"""Samplers on the sphere: state, info, init, step."""
