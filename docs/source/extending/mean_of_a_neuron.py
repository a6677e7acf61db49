"""The mean of a neuron under its own density: exact samples against the partition function."""

from lazyactive.experiments import figures, statistics
from lazyactive.experiments.claim import Check, Claim, Preset, Verdict, register, select, values

WEIGHTS, DIMENSIONS = (-5.0, 2.0, 10.0), (3, 15)
TOLERANCE = 0.05
GRID = tuple({"d": d, "w": w} for d in DIMENSIONS for w in WEIGHTS)
# All comparisons together raise a false alarm in at most 5% of the seeds.
LEVEL = 1 - 0.05 / len(GRID)


class MeanOfANeuron(Claim):
    """Means of max(<theta, x>, 0) over exact samples, and their prediction."""

    name = "mean-of-a-neuron"
    statement = "The mean of a neuron under the density that it makes is -d log Z / dw."
    source = "derived in lazyactive.theory.gibbs"
    reported = ("mean",)

    def __init__(self):
        self.presets = {
            "quick": Preset(GRID, 8, {"n": 60_000}),
            "paper": Preset(GRID, 32, {"n": 600_000}),
        }

    def predict(self, condition):
        """The mean by quadrature."""
        from lazyactive.theory import gibbs

        return {"mean": gibbs.mean_feature(condition["w"], condition["d"])}

    def measure(self, condition, rng, settings):
        """The mean over samples."""
        import numpy as np

        from lazyactive.numerics.teachers import PlantedEnergy

        teacher = PlantedEnergy.random(1, condition["d"], condition["w"], rng)
        X = teacher.sample(settings["n"], rng)
        return {"mean": float(np.mean(np.maximum(X @ teacher.directions[0], 0)))}

    def verdict(self, results):
        """Each mean is the predicted one within 5%."""
        checks = []
        for condition in GRID:
            predicted = self.predict(condition)["mean"]
            interval = statistics.mean(values(select(results, **condition), "mean"), LEVEL)
            checks.append(
                Check(
                    f"d = {condition['d']}, w = {condition['w']:g}",
                    f"the mean is the predicted one within {TOLERANCE:.0%}",
                    interval.value,
                    interval,
                    predicted,
                    statistics.equal(interval, predicted, TOLERANCE * predicted),
                    level=f"{LEVEL:.1%} interval",
                )
            )
        return Verdict(tuple(checks))

    def draw(self, results, figure):
        """Measured over predicted means against the weight, a panel for each dimension."""
        panels = figures.panels(figure, len(DIMENSIONS))
        for axes, d in zip(panels, DIMENSIONS, strict=True):
            ratios = [
                statistics.mean(
                    [
                        mean / self.predict({"d": d, "w": w})["mean"]
                        for mean in values(select(results, d=d, w=w), "mean")
                    ]
                )
                for w in WEIGHTS
            ]
            figures.points(axes, WEIGHTS, ratios, label="samples", color=figures.BLUE, marker="o")
            axes.axhline(1, color=figures.GREY, linewidth=0.7)
            axes.set_xticks(WEIGHTS)
            axes.set_xlabel("weight w")
            axes.set_title(f"$d = {d}$")
        panels[0].set_ylabel("measured / predicted")


register(MeanOfANeuron())
