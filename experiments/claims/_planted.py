"""What claims on training with planted neurons measure: one fit, seen from fresh exact samples."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..claim import Claim, Condition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...numerics.estimators import ShallowEBM
    from ...numerics.teachers import PlantedEnergy


class PlantedTraining(Claim):
    """Several methods on the same samples of planted teachers.

    Attributes
    ----------
    signs : tuple of {-1, 1}, length J
        The teacher of strength w has the output weights ``w * signs``.
    dimension : int
    """

    signs: tuple[int, ...]
    dimension: int

    def options(self, method: str) -> dict[str, Any]:
        """Options of ShallowEBM that make the method."""
        raise NotImplementedError

    def further(
        self,
        model: "ShallowEBM",
        teacher: "PlantedEnergy",
        evaluation: "NDArray",
        settings: Mapping[str, Any],
    ) -> dict[str, float]:
        """Further quantities of a fit; none by default."""
        return {}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Fit n exact samples of a fresh teacher; evaluate on fresh exact samples."""
        import numpy as np

        from ...numerics.discrepancies.kl import cross_entropy, kl_divergence
        from ...numerics.estimators import ShallowEBM
        from ...numerics.teachers import PlantedEnergy

        n, method = int(condition["n"]), str(condition["method"])
        weights = float(condition["w"]) * np.array(self.signs, dtype=float)
        teacher = PlantedEnergy.random(len(self.signs), self.dimension, weights, rng)
        X = teacher.sample(n, rng)
        evaluation = teacher.sample(int(settings["evaluation_points"]), rng)

        model = ShallowEBM(
            **self.options(method),
            n_neurons=settings.get(f"n_neurons_{method}"),
            n_reference=settings.get("n_reference"),
            random_state=int(rng.integers(2**31)),
        ).fit(X)
        energy = model.energy(evaluation)
        divergence = kl_divergence(teacher.energy(evaluation), energy)
        entropy = cross_entropy(energy, model.log_partition_, model.log_partition_se_)
        return {
            "kl": divergence.value,
            "kl_se": divergence.se,
            "cross_entropy": entropy.value,
            "cross_entropy_se": entropy.se,
            "log_partition": model.log_partition_,
            "log_partition_se": model.log_partition_se_,
            **self.further(model, teacher, evaluation, settings),
            "optimality_gap": model.optimality_gap_,
            "penalty": model.penalty_,
            "n_neurons": int(np.count_nonzero(model.weights_)),
            "n_iter": model.n_iter_,
            "converged": model.converged_,
        }
