"""Samplers on the sphere: state, info, init, step.

Every module in ``ALL_SAMPLERS`` has ``sample(n, d, energy, gradient, rng, ...) -> Sample``. Those
that move points also have the pure functions ``init(X, energy, gradient) -> State`` and
``step(state, energy, gradient, rng, ...) -> (State, Info)``.
"""

from types import ModuleType

from . import annealed, independence, mala, reweighting

__all__ = ["ALL_SAMPLERS", "annealed", "independence", "mala", "reweighting"]

ALL_SAMPLERS: dict[str, ModuleType] = {
    "annealed": annealed,
    "independence": independence,
    "mala": mala,
    "reweighting": reweighting,
}
