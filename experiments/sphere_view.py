r"""The sphere of R^3 as a distant viewer sees it, and densities on it.

The view is orthographic. A view is a rotation matrix with the rows *right*, *up* and *toward the
viewer*; a point p of space has the coordinates (x, y, depth) = view p. The ball hides p if p is
behind it: depth < 0 and :math:`x^2 + y^2 < 1`.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Depth at which a direction is seen best: what is around its point is in front, and an arrow that
# stands on it loses a seventh of its length only.
BEST_DEPTH = 0.5
N_CANDIDATES = 4000
# How far a picture of the sphere reaches: a little beyond the limb, so that interpolation at the
# edge has something to go by.
MARGIN = 1.03
# Gauss-Legendre nodes in height, and twice as many in longitude.
N_PARALLELS = 128


def best_view(directions: Array) -> Array:
    r"""Choose where to look from, so that the directions are seen well.

    The worst direction decides: the viewer goes where the largest :math:`|z_j - 1/2|` is least,
    for the depths :math:`z_j`. The mean direction points up.

    Parameters
    ----------
    directions : ndarray of shape (J, 3)
        Unit vectors.

    Returns
    -------
    ndarray of shape (3, 3)
        A rotation.
    """
    candidates = _even_points(N_CANDIDATES)
    misses = np.abs(candidates @ directions.T - BEST_DEPTH)
    toward = candidates[np.argmin(misses.max(axis=1) + 0.1 * misses.mean(axis=1))]
    up = _in_plane(directions.mean(axis=0), toward)
    if np.linalg.norm(up) < 1e-6:
        # Directions that cancel: the first goes to the right.
        up = np.cross(toward, _in_plane(directions[0], toward))
    up /= np.linalg.norm(up)
    return np.stack([np.cross(up, toward), up, toward])


def project(points: Array, view: Array) -> Array:
    """Coordinates (x, y, depth) of points: shape (n, 3)."""
    return points @ view.T


def visible(projected: Array) -> NDArray[np.bool_]:
    """Whether the unit ball leaves points (x, y, depth) on or outside of it in sight: (n,)."""
    x, y, depth = projected.T
    return (depth >= 0) | (x**2 + y**2 >= 1)


def disc_points(size: int, view: Array) -> tuple[NDArray[np.bool_], Array]:
    """The points of the sphere under the pixels of its picture.

    Parameters
    ----------
    size : int
        Pixels in a row and in a column of the square ``[-MARGIN, MARGIN]^2``; the first row is the
        lowest. Pixels beyond the limb take its nearest point.
    view : ndarray of shape (3, 3)

    Returns
    -------
    inside : ndarray of shape (size, size)
        The pixels that show a point.
    points : ndarray of shape (inside.sum(), 3)
    """
    centres = MARGIN * ((2 * np.arange(size) + 1) / size - 1)
    x, y = np.meshgrid(centres, centres)
    radius = np.hypot(x, y)
    inside = radius <= MARGIN
    shrink = np.maximum(radius[inside], 1.0)
    x, y = x[inside] / shrink, y[inside] / shrink
    depth = np.sqrt(np.maximum(0.0, 1 - x**2 - y**2))
    return inside, np.stack([x, y, depth], axis=1) @ view


def globe(longitude: Array, latitude: Array) -> Array:
    r"""Points by longitude and latitude in radians: shape (n, 3), the north pole on the third axis.

    They are :math:`(\cos\phi\cos\lambda, \cos\phi\sin\lambda, \sin\phi)`.
    """
    radius = np.cos(latitude)
    return np.stack(
        [radius * np.cos(longitude), radius * np.sin(longitude), np.sin(latitude)], axis=-1
    )


def longitude_latitude(points: Array) -> tuple[Array, Array]:
    """Longitude in [-pi, pi] and latitude of points (n, 3) that are not zero."""
    x, y, z = points.T
    return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))


def upright_view(toward: Array) -> Array:
    """The rotation that looks from a unit vector, with the third axis upward where it can be."""
    for axis in np.eye(3)[[2, 0]]:
        up = _in_plane(axis, toward)
        if np.linalg.norm(up) > 1e-3:
            break
    up = up / np.linalg.norm(up)
    return np.stack([np.cross(up, toward), up, toward])


def net(view: Array, every: int = 30, n_points: int = 181) -> list[Array]:
    """Meridians and parallels about the third axis, as far as they are in front.

    Parameters
    ----------
    view : ndarray of shape (3, 3)
    every : int
        Degrees from one line to the next.
    n_points : int
        On half a circle.

    Returns
    -------
    list of ndarrays of shape (k, 2)
    """
    around = np.linspace(-np.pi, np.pi, 2 * n_points)
    between = np.linspace(-np.pi / 2, np.pi / 2, n_points)
    lines = [
        globe(np.full_like(between, longitude), between)
        for longitude in np.radians(np.arange(0, 360, every))
    ]
    lines += [
        globe(around, np.full_like(around, latitude))
        for latitude in np.radians(np.arange(-90 + every, 90, every))
    ]
    pieces = []
    for line in lines:
        seen = project(line, view)
        front = seen[:, 2] >= 0
        for piece in np.split(seen, np.flatnonzero(np.diff(front)) + 1):
            if len(piece) > 1 and piece[0, 2] >= 0:
                pieces.append(piece[:, :2])
    return pieces


def graticule(tilt: float = 25.0) -> list[Array]:
    """A net whose north pole is up, tilted by so many degrees towards the viewer."""
    sine, cosine = np.sin(np.radians(tilt)), np.cos(np.radians(tilt))
    return net(np.array([[0, 1, 0], [-sine, 0, cosine], [cosine, 0, sine]]))


def arrows(
    projected: Array, lengths: Array, width: float = 0.03, head: float = 0.085
) -> NDArray[np.float64]:
    """Outlines of arrows that stand on the sphere, as they appear.

    An arrow of length L on the point (x, y, depth) runs from (x, y) to (1 + L) (x, y): the more it
    points at the viewer, or away, the shorter it looks.

    Parameters
    ----------
    projected : ndarray of shape (m, 3)
    lengths : ndarray of shape (m,)
        In radii of the sphere.
    width, head : float
        Of the shaft, and of the head's length and width; smaller where the arrow is too short.

    Returns
    -------
    ndarray of shape (m, 7, 2)
    """
    base = projected[:, :2]
    radius = np.linalg.norm(base, axis=1)
    safe = np.where(radius > 0, radius, 1.0)[:, None]
    along = np.where(radius[:, None] > 0, base / safe, [0.0, 1.0])
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    seen = lengths * radius
    size = np.minimum(1.0, seen / (1.5 * head))
    neck = seen - head * size
    half, wing = 0.5 * width * size, 0.5 * head * size
    zero = np.zeros_like(seen)
    u = np.stack([zero, neck, neck, seen, neck, neck, zero], axis=1)
    v = np.stack([half, half, wing, zero, -wing, -half, -half], axis=1)
    return base[:, None] + u[..., None] * along[:, None] + v[..., None] * across[:, None]


@lru_cache(maxsize=4)
def sphere_rule(n_parallels: int = N_PARALLELS) -> tuple[Array, Array]:
    """Nodes (N, 3) and weights (N,) for means under tau: Gauss-Legendre times the trapezoid.

    Exact for polynomials of degree less than ``2 n_parallels``; the kinks of ReLU neurons leave an
    error of the order ``n_parallels**-2``.
    """
    heights, masses = np.polynomial.legendre.leggauss(n_parallels)
    longitudes = np.pi * (np.arange(2 * n_parallels) + 0.5) / n_parallels
    height, longitude = np.meshgrid(heights, longitudes, indexing="ij")
    radius = np.sqrt(1 - height**2)
    nodes = np.stack([radius * np.cos(longitude), radius * np.sin(longitude), height], axis=-1)
    weights = np.repeat(masses / (4 * n_parallels), 2 * n_parallels)
    return nodes.reshape(-1, 3), weights


def log_partition(neurons: Array, weights: Array, alpha: int) -> float:
    r"""Log Z of :math:`e^{-f}` with respect to tau, by quadrature.

    Parameters
    ----------
    neurons : ndarray of shape (m, 3)
    weights : ndarray of shape (m,)
    alpha : int

    Returns
    -------
    float
    """
    from scipy.special import logsumexp

    from ..numerics.features import energy

    nodes, masses = sphere_rule()
    return float(logsumexp(-energy(nodes, neurons, weights, alpha), b=masses))


def log_density(X: Array, neurons: Array, weights: Array, alpha: int) -> Array:
    """Log density of the model with respect to tau, log Z included: shape (n,)."""
    from ..numerics.features import energy

    return -energy(X, neurons, weights, alpha) - log_partition(neurons, weights, alpha)


def _even_points(n: int) -> Array:
    """A Fibonacci lattice: n points spread evenly over the sphere."""
    height = 1 - (2 * np.arange(n) + 1) / n
    longitude = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(longitude), radius * np.sin(longitude), height], axis=1)


def _in_plane(vector: Array, toward: Array) -> Array:
    return vector - (vector @ toward) * toward
