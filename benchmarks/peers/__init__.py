"""The same work as a competent user of NumPy, PyTorch or JAX writes it.

Each function takes the inputs of a case, does once what is done once, and returns the run.
"""
