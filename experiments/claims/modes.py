r"""Dual training on the sphere of R^3, for a density of one mode and for one of two.

Walkers that are never put back see the whole sphere: descent-ascent is maximum likelihood. Walkers
that restart at the data before every step make it score matching, which compares gradients where
the data are, and knows the shares of two separated modes only through the few data between them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Condition, Preset, Result, Verdict, register, select, values
from ..film import Film, FilmedClaim, Frame
from ._dual import neuron_rate

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from ...numerics.teachers import PlantedEnergy
    from ...numerics.training.dual import State
    from ...numerics.training.transport import Network

D = 3
# Two modes are nearly opposite; the second is a little weaker.
DIRECTIONS = {1: ((1.0, 0.0, 0.0),), 2: ((1.0, 0.0, 0.0), (-0.96, 0.28, 0.0))}
WEIGHTS = {1: (-10.0,), 2: (-15.0, -14.0)}
NEVER, ALWAYS = 0, 1
N_NEURONS, MASS, STEP_SIZE, TIME = 64, 20.0, 0.01, 20.0
# The divergence is that of the last part of the way: with restarts it swings.
LOOKS = (12.0, 14.0, 16.0, 18.0, 20.0)
LARGEST = {1: 0.01, 2: 0.05}
FACTOR = 2.0


class MonomodalAndBimodal(FilmedClaim):
    """KL divergence of dual training, with and without restarts."""

    name = "monomodal-and-bimodal-3d"
    statement = (
        "On the sphere of R^3 dual training learns a density of one mode and one of two; with "
        "walkers that restart at the data before every step it is several times worse at both."
    )
    source = "domingoenrich2021dual"
    formula = r"\mathrm{KL}_{\mathrm{restarts}} \geq 2\,\mathrm{KL}_{\mathrm{no\ restarts}}"
    formula_text = "KL with restarts at every step is at least twice that without."
    shared_keys = ("restart",)
    reported = ("kl", "share_error")

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple(
            {"modes": modes, "restart": restart} for modes in (1, 2) for restart in (NEVER, ALWAYS)
        )
        self.presets = {
            "quick": Preset(grid, 24, {"data": 2000, "walkers": 2000}),
            "paper": Preset(grid, 48, {"data": 10_000, "walkers": 10_000}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """Nothing beyond the order of the two."""
        return {}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """The mean divergence over the last part of the training; the share of the first mode."""
        import numpy as np

        teacher = planted(int(condition["modes"]))
        X = teacher.sample(int(settings["data"]), rng)
        state = start(int(settings["walkers"]), rng)
        found = []
        for look in LOOKS:
            state = train(state, X, look, int(condition["restart"]), rng)
            kl, share_error = divergence(teacher, state.network)
            found.append(kl)
        return {
            "kl": float(np.mean(found)),
            "kl_last": kl,
            "share_error": share_error,
            "variation": state.network.variation,
        }

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Both densities are learned, and restarts are worse."""
        checks = []
        for modes in (1, 2):
            own = select(results, modes=modes)
            checks += [learned(modes, own), worse_with_restarts(modes, own)]
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Divergences of all runs, by density and restarts."""
        from .. import figures

        (axes,) = figures.panels(figure, 1)
        for restart, label, color, marker, shift in (
            (NEVER, "walkers go on", figures.BLUE, "o", -0.08),
            (ALWAYS, "walkers restart at each step", figures.VERMILION, "s", 0.08),
        ):
            for modes in (1, 2):
                own = values(select(results, modes=modes, restart=restart), "kl")
                place = modes + shift
                axes.plot(
                    [place] * len(own), own, marker, color=color, alpha=0.35, markeredgewidth=0
                )
                figures.points(
                    axes,
                    [place + shift / 2],
                    [statistics.mean(own)],
                    label=label if modes == 1 else "",
                    color=color,
                    marker=marker,
                )
        axes.set_yscale("log")
        axes.set_xticks([1, 2], ["one mode", "two modes"])
        axes.set_xlim(0.5, 2.5)
        axes.set_ylabel("KL divergence")
        figures.legend_below(figure)

    def film(
        self, n_frames: int, rng: "np.random.Generator", progress: Callable[[int], Any]
    ) -> Film:
        """Two modes, walkers never put back; frames are closer at the start, where all happens."""
        teacher = planted(2)
        X = teacher.sample(500, rng)
        state = start(2000, rng)
        total = round(TIME / STEP_SIZE)
        frames: list[Frame] = []
        for i in range(n_frames):
            # At least one step to a frame, the last after all of them.
            n_steps = max(i, round(total * (i / (n_frames - 1)) ** 2))
            state = train(state, X, n_steps * STEP_SIZE, NEVER, rng)
            network = state.network
            frames.append(
                Frame(
                    state.n_steps * STEP_SIZE,
                    network.neurons,
                    network.weights,
                    state.walkers,
                    divergence(teacher, network)[0],
                    network.variation,
                )
            )
            progress(1)
        return Film(
            "dual training of neurons and walkers",
            X,
            teacher.directions,
            teacher.weights,
            teacher.alpha,
            tuple(frames),
        )


def planted(modes: int) -> "PlantedEnergy":
    """The teacher with so many modes."""
    import numpy as np

    from ...numerics.teachers import PlantedEnergy

    return PlantedEnergy(np.array(DIRECTIONS[modes]), np.array(WEIGHTS[modes]))


def start(n_walkers: int, rng: "np.random.Generator") -> "State":
    """Uniform neurons and walkers."""
    from ...numerics.training import dual, transport

    return dual.init(transport.init(N_NEURONS, D, rng, MASS), n_walkers, rng)


def train(
    state: "State", X: "np.ndarray", until: float, restart: int, rng: "np.random.Generator"
) -> "State":
    """Continue to a time, with neurons and walkers on one scale."""
    from ...numerics.training import dual

    every = restart or None
    rate = neuron_rate(1.0, D, MASS, STEP_SIZE, every)
    while state.n_steps < round(until / STEP_SIZE):
        state, _ = dual.step(
            state, X, rng, STEP_SIZE, rate, rate, restart_every=every, antithetic=every is not None
        )
    return state


def divergence(teacher: "PlantedEnergy", network: "Network") -> tuple[float, float]:
    """KL of the truth from the model, and how much the share of the first mode is too large.

    By quadrature of the sphere: samples of the truth do not see where the model has mass in vain.
    """
    import numpy as np
    from scipy.special import logsumexp

    from ...numerics import features
    from ..sphere_view import sphere_rule

    nodes, masses = sphere_rule()
    model = -features.energy(nodes, network.neurons, network.weights, network.alpha)
    truth = -teacher.energy(nodes)
    model, truth = model - logsumexp(model, b=masses), truth - logsumexp(truth, b=masses)
    first = masses * (nodes[:, 0] > 0)
    kl = masses @ (np.exp(truth) * (truth - model))
    return float(kl), float(first @ (np.exp(model) - np.exp(truth)))


def learned(modes: int, runs: Sequence[Result]) -> Check:
    """The mean divergence without restarts."""
    found = statistics.mean(values(select(runs, restart=NEVER), "kl"))
    return Check(
        f"{modes} mode{'s'[: modes - 1]}: learned",
        f"without restarts the mean KL is at most {LARGEST[modes]:g}",
        found.value,
        found,
        LARGEST[modes],
        statistics.below(found, LARGEST[modes]),
    )


def worse_with_restarts(modes: int, runs: Sequence[Result]) -> Check:
    """The divergence with restarts over that without, on the same data."""
    with_, without = (values(select(runs, restart=restart), "kl") for restart in (ALWAYS, NEVER))
    found = statistics.log_ratio(with_, without)
    return Check(
        f"{modes} mode{'s'[: modes - 1]}: restarts are worse",
        f"mean log of KL with restarts over KL without is at least log {FACTOR:g}",
        found.value,
        found,
        math.log(FACTOR),
        statistics.above(found, math.log(FACTOR)),
    )


register(MonomodalAndBimodal())
