"""A claim of one's own, whole. Run it with: lazyactive verify docs/my_claim.py"""

from lazyactive.experiments.claim import Claim, Preset, register


class FrozenWidth(Claim):
    """How far m frozen random neurons are from infinitely many."""

    name = "frozen-width"
    statement = "The mean of m random neurons misses its limit by (1/(2d) - c_0^2) / m in square."
    source = "the variance of a mean; c_0 is the mean of max(<theta, x>, 0) over the sphere"
    precision = 0.05  # half-width of an interval, over the prediction, that still says something
    presets = {
        "quick": Preset(
            conditions=tuple({"m": m, "d": d} for d in (5, 15) for m in (8, 32, 128)),
            repetitions=20,
            settings={"points": 20, "networks": 200},
        )
    }

    def predict(self, condition):
        """Variance of one neuron, over their number."""
        from lazyactive.theory.activations import ReLUPower

        mean = float(ReLUPower(alpha=1).coefficient(0, condition["d"]))
        return {"error": (1 / (2 * condition["d"]) - mean**2) / condition["m"]}

    def measure(self, condition, rng, settings):
        """Variance over networks, on average over points of the sphere."""
        from lazyactive.numerics import features, sphere

        points = sphere.uniform(settings["points"], condition["d"], rng)
        neurons = sphere.uniform(settings["networks"] * condition["m"], condition["d"], rng)
        activations = features.feature_matrix(points, neurons)
        networks = activations.reshape(len(points), -1, condition["m"]).mean(axis=2)
        return {"error": networks.var(axis=1, ddof=1).mean()}


register(FrozenWidth())
