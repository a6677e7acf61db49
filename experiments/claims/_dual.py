"""What claims on dual training share: rates that match, and the divergence of a network."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...numerics.discrepancies.kl import Estimate
    from ...numerics.teachers import PlantedEnergy
    from ...numerics.training.transport import Network


def neuron_rate(
    ratio: float, d: int, mass: float, step_size: float = 0.0, restart_every: int | None = None
) -> float:
    """The rate of neurons and masses at which K/D of degree 1 has this ratio.

    Walkers that restart every N steps of size h have come the part 1 - exp(-N h D) of their way;
    the rate is divided by it, so that the neurons move at the same pace.
    """
    from ...theory.descent_ascent import rates

    K, D = rates(1, d, mass=mass)
    rate = ratio * D / K
    if restart_every is not None:
        rate /= -math.expm1(-restart_every * step_size * D)
    return rate


def divergence(teacher: "PlantedEnergy", network: "Network", points: "NDArray") -> "Estimate":
    """KL of the teacher's density from the network's, over samples of the teacher."""
    from ...numerics import features
    from ...numerics.discrepancies.kl import kl_divergence

    energy = features.energy(points, network.neurons, network.weights, network.alpha)
    return kl_divergence(teacher.energy(points), energy)
