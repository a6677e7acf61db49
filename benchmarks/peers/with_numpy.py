"""NumPy: whole matrices as one writes them, and blocks of rows that stay in the cache."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .blocks import rows_in_cache, rows_of_pairs

Run = Callable[[], tuple | NDArray | float]


def energy(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    return lambda: np.maximum(X @ neurons.T, 0) @ weights / len(weights)


def energy_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    return lambda: _energy(X, neurons, weights)


def _energy(X: NDArray, neurons: NDArray, weights: NDArray) -> NDArray:
    m, rows = len(neurons), rows_in_cache(len(X), len(neurons))
    out, T = np.empty(len(X), X.dtype), np.empty((rows, m), X.dtype)
    for first in range(0, len(X), rows):
        np.matmul(X[first : first + rows], neurons.T, out=T)
        np.maximum(T, 0, out=T)
        np.matmul(T, weights, out=out[first : first + rows])
    out /= m
    return out


def gradient(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    def run() -> tuple[NDArray, NDArray]:
        m = len(weights)
        moments = ((X @ neurons.T > 0) * mass[:, None]).T @ X
        # The activation is homogeneous: values follow from the moments.
        return moments * weights[:, None] / m, np.sum(moments * neurons, axis=1) / m

    return run


def gradient_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    def run() -> tuple[NDArray, NDArray]:
        m, moments = len(weights), _moments(X, neurons, mass)
        return moments * weights[:, None] / m, np.sum(moments * neurons, axis=1) / m

    return run


def _moments(X: NDArray, neurons: NDArray, mass: NDArray) -> NDArray:
    rows = rows_in_cache(len(X), len(neurons))
    total, T = np.zeros_like(neurons), np.empty((rows, len(neurons)), X.dtype)
    for first in range(0, len(X), rows):
        x = X[first : first + rows]
        np.matmul(x, neurons.T, out=T)
        np.multiply(T > 0, mass[first : first + rows, None], out=T)
        total += T.T @ x
    return total


def score(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    return lambda: (X @ neurons.T > 0) * weights @ neurons / len(weights)


def score_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    def run() -> NDArray:
        m, rows = len(neurons), rows_in_cache(len(X), len(neurons))
        out, T = np.empty_like(X), np.empty((rows, m), X.dtype)
        for first in range(0, len(X), rows):
            np.matmul(X[first : first + rows], neurons.T, out=T)
            np.multiply(T > 0, weights, out=T)
            np.matmul(T, neurons, out=out[first : first + rows])
        out /= m
        return out

    return run


def likelihood(data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    def run() -> tuple[float, NDArray, NDArray]:
        m = len(weights)
        at_data, at_reference = data @ neurons.T, reference @ neurons.T
        f_data = np.maximum(at_data, 0) @ weights / m
        loss, density = _tilt(np.maximum(at_reference, 0) @ weights / m)
        moments = (at_data > 0).astype(data.dtype).T @ data / len(data)
        moments -= ((at_reference > 0) * density[:, None]).T @ reference
        slopes = moments * weights[:, None] / m
        return float(f_data.mean()) + loss, slopes, np.sum(moments * neurons, axis=1) / m

    return run


def likelihood_in_blocks(
    data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray
) -> Run:
    uniform = np.full(len(data), 1 / len(data), data.dtype)

    def run() -> tuple[float, NDArray, NDArray]:
        m = len(weights)
        f_data = _energy(data, neurons, weights)
        loss, density = _tilt(_energy(reference, neurons, weights))
        moments = _moments(data, neurons, uniform) - _moments(reference, neurons, density)
        slopes = moments * weights[:, None] / m
        return float(f_data.mean()) + loss, slopes, np.sum(moments * neurons, axis=1) / m

    return run


def _tilt(f: NDArray) -> tuple[float, NDArray]:
    """Log Z on the reference and the weights of its points, in the type of f."""
    density = np.exp(f.min() - f)
    total = density.sum(dtype=np.float64)
    return float(np.log(total / len(f)) - f.min()), (density / total).astype(f.dtype)


def ksd(X: NDArray, scores: NDArray) -> Run:
    """V-statistic of the RBF discrepancy and its derivative in the scores, by the Stein kernel."""

    def block(x: NDArray, s: NDArray, shifted: NDArray) -> tuple[float, NDArray]:
        d, u = X.shape[1], x @ X.T
        kappa = np.exp(u - 1)
        crossed = s @ X.T + x @ shifted.T
        stein = kappa * (s @ shifted.T - 2 * (d - 1) - u * crossed + u**3 - u + d - 2 + u**2)
        field = kappa @ shifted + x * kappa.sum(1)[:, None] - (kappa * u) @ X
        return float(stein.sum(dtype=np.float64)), field

    return _ksd_by_rows(X, scores, block)


def ksd_by_sums(X: NDArray, scores: NDArray) -> Run:
    """The same with the sums over y that the compiled loops take."""

    def block(x: NDArray, s: NDArray, shifted: NDArray) -> tuple[float, NDArray]:
        d, u = X.shape[1], x @ X.T
        kappa = np.exp(u - 1)
        sums, product = kappa.sum(1), kappa * u
        pulled, points = kappa @ shifted, product @ X
        total = float(np.sum(s * (pulled - 2 * points))) - 2 * (d - 1) * float(sums.sum())
        product *= u * u + u - 1
        total += float(product.sum()) + (d - 2) * float(sums.sum())
        return total, pulled + x * sums[:, None] - points

    return _ksd_by_rows(X, scores, block)


def _ksd_by_rows(
    X: NDArray, scores: NDArray, block: Callable[[NDArray, NDArray, NDArray], tuple[float, NDArray]]
) -> Run:
    """Sum over blocks of rows: `block` takes their points and shifted scores, and all of these."""

    def run() -> tuple[float, NDArray]:
        (n, d), size = X.shape, rows_of_pairs(len(X))
        shifted = scores - X.dtype.type(d - 1) * X
        total, field = 0.0, np.empty_like(X)
        for first in range(0, n, size):
            rows = slice(first, first + size)
            value, field[rows] = block(X[rows], shifted[rows], shifted)
            total += value
        return total / n**2, _tangent(X, 2 / n**2 * field)

    return run


def _tangent(X: NDArray, v: NDArray) -> NDArray:
    return v - np.sum(X * v, axis=1, keepdims=True) * X


def arc_cosine(u: NDArray, d: int) -> NDArray:
    """The kernel of random rectifiers."""
    u = np.clip(u, -1, 1)
    return (np.sqrt(1 - u * u) + (np.pi - np.arccos(u)) * u) / u.dtype.type(2 * np.pi * d)


def f2_ipm(X: NDArray, Y: NDArray) -> Run:
    """Square of the F2 metric, as a U-statistic."""

    def total(A: NDArray, B: NDArray) -> float:
        size = rows_of_pairs(len(A))
        return sum(
            float(arc_cosine(A[i : i + size] @ B.T, A.shape[1]).sum(dtype=np.float64))
            for i in range(0, len(A), size)
        )

    def run() -> float:
        n, d = X.shape
        own = total(X, X) + total(Y, Y) - 2 * n / (2 * d)
        return own / (n * (n - 1)) - 2 * total(X, Y) / n**2

    return run


def two_sample_test(X: NDArray, Y: NDArray, n_permutations: int) -> Run:
    """Permutations of the rows and columns of a stored kernel: the p-value."""
    n, d = X.shape

    def run() -> float:
        rng = np.random.default_rng(0)
        pooled = np.concatenate([X, Y])
        kernel = arc_cosine(pooled @ pooled.T, d)
        np.fill_diagonal(kernel, 0)

        def square(order: NDArray) -> float:
            a, b = order[:n], order[n:]
            own = kernel[np.ix_(a, a)].sum() + kernel[np.ix_(b, b)].sum()
            return float(own / (n * (n - 1)) - 2 * kernel[np.ix_(a, b)].mean())

        observed = square(np.arange(2 * n))
        others = [square(rng.permutation(2 * n)) for _ in range(n_permutations)]
        return float(1 + np.sum(np.array(others) >= observed)) / (1 + n_permutations)

    return run


def legendre(t: NDArray, d: int, max_degree: int) -> Run:
    """The recurrence of three terms, a degree at a time."""

    def run() -> NDArray:
        out = np.empty((max_degree + 1, len(t)))
        out[0], out[1] = 1, t
        for k in range(1, max_degree):
            a, b = (2 * k + d - 2) / (k + d - 2), k / (k + d - 2)
            np.multiply(t, out[k], out=out[k + 1])
            out[k + 1] *= a
            out[k + 1] -= b * out[k - 1]
        return out

    return run
