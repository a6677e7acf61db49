"""Symbolic predictions: what should happen.

Nothing is imported here, so that a program pays for SymPy only in the modules it uses.
"""
