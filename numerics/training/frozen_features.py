r"""Features of neurons that stay, rotated to the leading eigenvectors of their Gram matrix.

The Gram matrix of the features under tau is the arc-cosine kernel of the neurons, whose spectrum
falls by orders of magnitude from one harmonic degree to the next: most directions can be left out.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import eigh

from ..features import feature_matrix
from ..kernels import arc_cosine

__all__ = ["FrozenFeatures"]

BLOCK = 4096
# Columns of the Gram matrix that are computed together.
GRAM_BLOCK = 256
# Directions whose eigenvalue is below this part of the leading one are noise of no use.
NEGLIGIBLE = 1e-8
# Directions beyond degree 2 that show how the spectrum goes on, and products with the Gram matrix:
# each makes the error of the leading space smaller by the gap of the spectrum, 10 or more.
MARGIN, N_PRODUCTS = 32, 3


class FrozenFeatures(NamedTuple):
    """Neurons (m, d), leading eigenvectors of their Gram matrix (m, p), and eigenvalues (p,)."""

    neurons: NDArray
    alpha: int
    basis: NDArray
    spectrum: NDArray

    @classmethod
    def of(cls, neurons: NDArray, alpha: int) -> Self:
        """Rotate the features of these unit neurons and keep the leading directions.

        Room is left for 600 directions or, if that is more, for the harmonics of degrees 0 to 2.
        If more are of use, the cut is made at the largest gap of the spectrum, so that no degree
        is torn apart.
        """
        m, d = neurons.shape
        gram = _gram(neurons, alpha)
        room = min(m, max(600, d * (d + 3) // 2))
        leading = _before_a_sure_gap(gram, d * (d + 3) // 2, room)
        if leading is not None:
            return cls(neurons, alpha, *leading)
        spectrum, basis = eigh(gram, subset_by_index=(m - room, m - 1))
        spectrum, basis = spectrum[::-1], basis[:, ::-1]
        p = int(np.count_nonzero(spectrum > NEGLIGIBLE * spectrum[0]))
        if p == room < m:
            p = 1 + int(np.argmax(spectrum[:-1] / spectrum[1:]))
        return cls(neurons, alpha, np.ascontiguousarray(basis[:, :p]), spectrum[:p])

    def evaluate(self, X: NDArray, dtype: DTypeLike = np.float64) -> NDArray:
        """Return the rotated features at points (n, d): shape (n, p).

        They are computed in float32, which rounds each feature at 1e-7 of itself. Frames and their
        negatives, as `sphere.orthogonal_uniform` draws them, cost half as much for alpha = 1.
        """
        out = np.empty((len(X), self.basis.shape[1]), dtype)
        n_mirrored = _n_mirrored(X) if self.alpha == 1 else 0
        basis = (self.basis / np.sqrt(len(self.neurons))).astype(np.float32)
        neurons, points = self.neurons.astype(np.float32), X.astype(np.float32)
        d = X.shape[1]
        linear = neurons.T @ basis
        size = max(1, BLOCK // d) * 2 * d
        for start in range(0, n_mirrored, size):
            stop = min(start + size, n_mirrored)
            frames = np.ascontiguousarray(points[start:stop].reshape(-1, 2, d, d)[:, 0])
            frames = frames.reshape(-1, d)
            values = feature_matrix(frames, neurons) @ basis
            halves = out[start:stop].reshape(-1, 2, d, out.shape[1])
            halves[:, 0] = values.reshape(-1, d, out.shape[1])
            # max(-t, 0) = max(t, 0) - t.
            halves[:, 1] = (values - frames @ linear).reshape(-1, d, out.shape[1])
        for start in range(n_mirrored, len(X), BLOCK):
            block = points[start : start + BLOCK]
            out[start : start + BLOCK] = feature_matrix(block, neurons, self.alpha) @ basis
        return out

    def output_weights(self, coordinates: NDArray) -> NDArray:
        """Return the weights c, (m,), of rotated coordinates, (p,)."""
        return np.sqrt(len(self.neurons)) * (self.basis @ coordinates)


def _gram(neurons: NDArray, alpha: int) -> NDArray:
    """Return the Gram matrix of the features under tau, over m."""
    m, d = neurons.shape
    gram = np.empty((m, m))
    for start in range(0, m, GRAM_BLOCK):
        rows = slice(start, start + GRAM_BLOCK)
        gram[rows, start:] = arc_cosine(neurons[rows] @ neurons[start:].T, d, alpha) / m
        gram[start:, rows] = gram[rows, start:].T
    return gram


def _before_a_sure_gap(gram: NDArray, n_low: int, room: int) -> tuple[NDArray, NDArray] | None:
    """Return basis and spectrum before the largest gap, if it is found without a full spectrum.

    Subspace iteration finds the directions of degrees 0 to 2 and some more. The trace tells how
    small the last of the room's eigenvalues can be at the least: where the ratio there would be
    smaller than that of the gap, and directions are not negligible, the cut is known.
    """
    m, size = len(gram), n_low + MARGIN
    if size >= room or room == m:
        return None
    space = gram[:, :size]
    for _ in range(N_PRODUCTS):
        space = gram @ np.linalg.qr(space)[0]
    space = np.linalg.qr(space)[0]
    spectrum, rotation = np.linalg.eigh(space.T @ gram @ space)
    spectrum, rotation = spectrum[::-1], rotation[:, ::-1]
    ratios = spectrum[:-1] / spectrum[1:]
    p = 1 + int(np.argmax(ratios))
    rest = np.trace(gram) - spectrum.sum() - (room - size) * spectrum[-1]
    least = rest / (m - room)
    # Twice, because the last directions of the space have not converged.
    if least <= 2 * NEGLIGIBLE * spectrum[0] or ratios[p - 1] <= 2 * spectrum[-1] / least:
        return None
    return np.ascontiguousarray(space @ rotation[:, :p]), spectrum[:p]


def _n_mirrored(X: NDArray) -> int:
    """Return how many points, from the first, come in groups of d points and their negatives."""
    d = X.shape[1]
    groups = X[: len(X) // (2 * d) * 2 * d].reshape(-1, 2, d, d)
    return groups.size // d if np.array_equal(groups[:, 0], -groups[:, 1]) else 0
