"""Training of shallow energies."""
