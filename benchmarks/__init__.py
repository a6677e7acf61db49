"""How fast the compiled loops are, beside NumPy, PyTorch and JAX: ``python -m benchmarks --help``.

``case``      what is compared: inputs, the runs of each contender, the work in flops or bytes
``cases/``    one piece of work, one file
``peers/``    the same work as a competent user of NumPy, PyTorch or JAX writes it
``workers``   one process for each contender
``timing``    turns, ratios, exponents
``machine``   what the machine is, and its limits
``table``     RESULTS.md
"""
