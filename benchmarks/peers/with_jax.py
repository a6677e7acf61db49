"""JAX on CPU: `jit` of the formulas, and of automatic gradients.

Arrays are put on the device once. Only float32 inputs are computed in float32, as here.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpy.typing import NDArray

from .blocks import rows_in_cache, rows_of_pairs

# Sums and the float64 cases: without it JAX turns every float64 into float32.
jax.config.update("jax_enable_x64", True)
Run = Callable[[], tuple | Array | float]


def _run(function: Callable, *arrays: NDArray) -> Run:
    """Compile, keep the inputs, and wait for the result of each call."""
    inputs, compiled = [jnp.asarray(a) for a in arrays], jax.jit(function)
    return lambda: jax.block_until_ready(compiled(*inputs))


def _energy(X: Array, neurons: Array, weights: Array) -> Array:
    return jax.nn.relu(X @ neurons.T) @ weights / len(weights)


def _by_rows(function: Callable, size: int, *arrays: Array) -> Any:
    """Apply a function to blocks of rows, one after another."""
    blocks = tuple(a.reshape(-1, size, *a.shape[1:]) for a in arrays)
    return jax.lax.map(lambda block: function(*block), blocks)


def energy(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    return _run(_energy, X, neurons, weights)


def energy_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    return _run(_energy_by_rows, X, neurons, weights)


def _energy_by_rows(X: Array, neurons: Array, weights: Array) -> Array:
    size = rows_in_cache(len(X), len(neurons))
    return _by_rows(lambda x: _energy(x, neurons, weights), size, X).ravel()


def score(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    return _run(_score, X, neurons, weights)


def _score(X: Array, neurons: Array, weights: Array) -> Array:
    return jnp.where(X @ neurons.T > 0, weights, 0) @ neurons / len(weights)


def score_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    def formula(X: Array, neurons: Array, weights: Array) -> Array:
        size = rows_in_cache(len(X), len(neurons))
        return _by_rows(lambda x: _score(x, neurons, weights), size, X).reshape(X.shape)

    return _run(formula, X, neurons, weights)


def score_by_grad(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    return _run(jax.grad(lambda x, theta, c: _energy(x, theta, c).sum()), X, neurons, weights)


def gradient(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    def formula(X: Array, neurons: Array, weights: Array, mass: Array) -> tuple[Array, Array]:
        m = len(weights)
        moments = jnp.where(X @ neurons.T > 0, mass[:, None], 0).T @ X
        return moments * weights[:, None] / m, (moments * neurons).sum(1) / m

    return _run(formula, X, neurons, weights, mass)


def _moments_by_rows(X: Array, neurons: Array, mass: Array) -> Array:
    size = rows_in_cache(len(X), len(neurons))

    def add(total: Array, block: tuple[Array, Array]) -> tuple[Array, None]:
        x, s = block
        return total + jnp.where(x @ neurons.T > 0, s[:, None], 0).T @ x, None

    blocks = X.reshape(-1, size, X.shape[1]), mass.reshape(-1, size)
    return jax.lax.scan(add, jnp.zeros_like(neurons), blocks)[0]


def gradient_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    def formula(X: Array, neurons: Array, weights: Array, mass: Array) -> tuple[Array, Array]:
        m, moments = len(weights), _moments_by_rows(X, neurons, mass)
        return moments * weights[:, None] / m, (moments * neurons).sum(1) / m

    return _run(formula, X, neurons, weights, mass)


def gradient_by_grad(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    def mean(X: Array, neurons: Array, weights: Array, mass: Array) -> Array:
        return mass @ _energy(X, neurons, weights)

    return _run(jax.grad(mean, argnums=(1, 2)), X, neurons, weights, mass)


def likelihood(data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    def formula(
        data: Array, reference: Array, neurons: Array, weights: Array
    ) -> tuple[Array, Array, Array]:
        m = len(weights)
        at_data, at_reference = data @ neurons.T, reference @ neurons.T
        f = jax.nn.relu(at_reference) @ weights / m
        loss = (jax.nn.relu(at_data) @ weights / m).mean() + jax.nn.logsumexp(-f)
        moments = (at_data > 0).astype(data.dtype).T @ data / len(data)
        moments -= jnp.where(at_reference > 0, jax.nn.softmax(-f)[:, None], 0).T @ reference
        loss -= math.log(len(reference))
        return loss, moments * weights[:, None] / m, (moments * neurons).sum(1) / m

    return _run(formula, data, reference, neurons, weights)


def likelihood_in_blocks(
    data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray
) -> Run:
    def formula(
        data: Array, reference: Array, neurons: Array, weights: Array
    ) -> tuple[Array, Array, Array]:
        m, uniform = len(weights), jnp.full(len(data), 1 / len(data), data.dtype)
        f = _energy_by_rows(reference, neurons, weights)
        loss = _energy_by_rows(data, neurons, weights).mean() + jax.nn.logsumexp(-f)
        moments = _moments_by_rows(data, neurons, uniform)
        moments -= _moments_by_rows(reference, neurons, jax.nn.softmax(-f))
        loss -= math.log(len(reference))
        return loss, moments * weights[:, None] / m, (moments * neurons).sum(1) / m

    return _run(formula, data, reference, neurons, weights)


def likelihood_by_grad(
    data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray
) -> Run:
    def loss(data: Array, reference: Array, neurons: Array, weights: Array) -> Array:
        log_sum = jax.nn.logsumexp(-_energy(reference, neurons, weights))
        return _energy(data, neurons, weights).mean() + log_sum - math.log(len(reference))

    value_and_grad = jax.value_and_grad(loss, argnums=(2, 3))

    def flat(*inputs: Array) -> tuple[Array, Array, Array]:
        value, (slopes, values) = value_and_grad(*inputs)
        return value, slopes, values

    return _run(flat, data, reference, neurons, weights)


def ksd(X: NDArray, scores: NDArray) -> Run:
    """By the sums over y, in blocks of rows."""
    n, d = X.shape

    def formula(X: Array, scores: Array) -> tuple[Array, Array]:
        shifted = scores - (d - 1) * X

        def rows(x: Array, s: Array) -> tuple[Array, Array]:
            u = x @ X.T
            kappa = jnp.exp(u - 1)
            sums, product = kappa.sum(1), kappa * u
            pulled, points = kappa @ shifted, product @ X
            total = (s * (pulled - 2 * points)).sum(dtype=jnp.float64)
            total -= d * sums.sum(dtype=jnp.float64)
            total += (product * (u * u + u - 1)).sum(1).sum(dtype=jnp.float64)
            return total, pulled + x * sums[:, None] - points

        totals, field = _by_rows(rows, rows_of_pairs(n), X, shifted)
        field = field.reshape(n, d) * (2 / n**2)
        return totals.sum() / n**2, field - (X * field).sum(1, keepdims=True) * X

    return _run(formula, X, scores)


def f2_ipm(X: NDArray, Y: NDArray) -> Run:
    n, d = X.shape

    def total(A: Array, B: Array) -> Array:
        def rows(x: Array) -> Array:
            u = jnp.clip(x @ B.T, -1, 1)
            kernel = jnp.sqrt(1 - u * u) + (math.pi - jnp.arccos(u)) * u
            return kernel.sum(1).sum(dtype=jnp.float64)

        return _by_rows(rows, rows_of_pairs(n), A).sum() / (2 * math.pi * d)

    def formula(X: Array, Y: Array) -> Array:
        own = total(X, X) + total(Y, Y) - 2 * n / (2 * d)
        return own / (n * (n - 1)) - 2 * total(X, Y) / n**2

    return _run(formula, X, Y)


def legendre(t: NDArray, d: int, max_degree: int) -> Run:
    """The recurrence of three terms, unrolled by the compiler."""

    def table(t: Array) -> Array:
        rows = [jnp.ones_like(t), t]
        for k in range(1, max_degree):
            a, b = (2 * k + d - 2) / (k + d - 2), k / (k + d - 2)
            rows.append(a * t * rows[k] - b * rows[k - 1])
        return jnp.stack(rows)

    return _run(table, t)
