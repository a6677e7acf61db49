"""Chains in JAX: the loop over steps is compiled with what it repeats."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from numpy.typing import NDArray

jax.config.update("jax_enable_x64", True)


def _uniform(key: Array, n: int, d: int) -> Array:
    X = jax.random.normal(key, (n, d))
    return X / jnp.linalg.norm(X, axis=1, keepdims=True)


def _tangent(X: Array, v: Array) -> Array:
    return v - (X * v).sum(1, keepdims=True) * X


def _run(chains: Callable, neurons: NDArray, weights: NDArray) -> Callable[[], tuple[float, float]]:
    inputs = jax.random.key(1), jnp.asarray(neurons), jnp.asarray(weights)
    compiled = jax.jit(chains)

    def run() -> tuple[float, float]:
        accepted, f = jax.block_until_ready(compiled(*inputs))
        return float(accepted), float(f.mean())

    return run


def independence(
    neurons: NDArray, weights: NDArray, n_chains: int, n_steps: int
) -> Callable[[], tuple[float, float]]:
    m, d = neurons.shape

    def chains(key: Array, neurons: Array, weights: Array) -> tuple[Array, Array]:
        def energy(X: Array) -> Array:
            return jax.nn.relu(X @ neurons.T) @ weights / m

        def step(state: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], Array]:
            X, f = state
            propose, decide = jax.random.split(key)
            Y = _uniform(propose, n_chains, d)
            f_new = energy(Y)
            moves = -jax.random.exponential(decide, (n_chains,)) < f - f_new
            new = jnp.where(moves[:, None], Y, X), jnp.where(moves, f_new, f)
            return new, moves.mean()

        start, *keys = jax.random.split(key, n_steps + 1)
        X = _uniform(start, n_chains, d)
        (_, f), rates = jax.lax.scan(step, (X, energy(X)), jnp.stack(keys))
        return rates.mean(), f

    return _run(chains, neurons, weights)


def mala(
    neurons: NDArray, weights: NDArray, n_chains: int, n_steps: int
) -> Callable[[], tuple[float, float]]:
    m, d = neurons.shape
    h = 0.5 / (d - 1)
    State = tuple[Array, Array, Array]

    def chains(key: Array, neurons: Array, weights: Array) -> tuple[Array, Array]:
        def evaluate(X: Array) -> tuple[Array, Array]:
            T = X @ neurons.T
            gradient = jnp.where(T > 0, weights, 0) @ neurons / m
            return jax.nn.relu(T) @ weights / m, _tangent(X, gradient)

        def step(state: State, key: Array) -> tuple[State, Array]:
            X, f, g = state
            propose, decide = jax.random.split(key)
            noise = _tangent(X, jax.random.normal(propose, X.shape))
            v = jnp.sqrt(2 * h) * noise - h * g
            r = jnp.linalg.norm(v, axis=1, keepdims=True)
            cosine, sine = jnp.cos(r), jnp.sin(r)
            Y = cosine * X + sine / r * v
            Y = Y / jnp.linalg.norm(Y, axis=1, keepdims=True)
            f_new, g_new = evaluate(Y)
            # The way back along the same geodesic.
            back = r * sine * X - cosine * v
            there, again = ((v + h * g) ** 2).sum(1), ((back + h * g_new) ** 2).sum(1)
            ratio = f - f_new + (there - again) / (4 * h)
            moves = -jax.random.exponential(decide, (n_chains,)) < ratio
            moves &= r[:, 0] < jnp.pi
            chosen = moves[:, None]
            new = jnp.where(chosen, Y, X), jnp.where(moves, f_new, f), jnp.where(chosen, g_new, g)
            return new, moves.mean()

        start, *keys = jax.random.split(key, n_steps + 1)
        X = _uniform(start, n_chains, d)
        (_, f, _), rates = jax.lax.scan(step, (X, *evaluate(X)), jnp.stack(keys))
        return rates.mean(), f

    return _run(chains, neurons, weights)
