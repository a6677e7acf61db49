"""Claims: where a prediction and a measurement meet."""
