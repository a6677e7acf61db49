r"""Quadrature for energies that depend on a point of the sphere through a few directions.

The projection u of a uniform point of :math:`S^{d-1}` on an r-dimensional subspace has density
proportional to :math:`(1-|u|^2)^{(d-r-2)/2}` on the unit ball of that subspace. In polar
coordinates, :math:`u = \rho\,\omega` with :math:`\rho = \sin\psi`, the direction
:math:`\omega \in S^{r-1}` is uniform and independent of the radius, whose law is

.. math:: \propto \sin^{r-1}\psi \cos^{d-r-1}\psi \, d\psi, \qquad 0 < \psi < \pi/2 .

Both laws are replaced here by Gauss-Legendre nodes on panels. The only singularities of a sum of
rectified neurons are the great circles where a neuron switches on; panels end on them, so that
every panel sees an analytic integrand.
"""

import itertools

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# A vector within this of lying in a plane through the poles is treated as lying in it.
_TOLERANCE = 1e-12


def radial_rule(d: int, r: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of the radius of the projection, and the logarithms of their probabilities.

    Parameters
    ----------
    d, r : int
        Ambient dimension and dimension of the subspace, 1 <= r <= d.
    strength : float
        Largest absolute value of the energy, which sets the width of the panels.

    Returns
    -------
    rho, log_probability : ndarray, shape (n_radii,)
    """
    if r == d:
        return np.ones(1), np.zeros(1)
    # The density times exp(-energy) varies on the scale of one over the root of this sum.
    n_panels = _n_panels(np.pi / 2, d + strength)
    psi, weights = _panels(np.linspace(0, np.pi / 2, n_panels + 1))
    log_density = (
        np.log(weights) + (r - 1) * np.log(np.sin(psi)) + (d - r - 1) * np.log(np.cos(psi))
    )
    # Normalised by its own sum, which spares the rounding of differences of log-Gammas.
    return np.sin(psi), log_density - np.logaddexp.reduce(log_density)


def angular_rule(coordinates: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and probabilities of the uniform law on the unit sphere of R^r, r <= 3.

    Parameters
    ----------
    coordinates : ndarray, shape (n_neurons, r)
        The directions, in an orthonormal basis of their span.
    strength : float
        Largest absolute value of the energy, which sets the width of the panels.

    Returns
    -------
    omega : ndarray, shape (n_angles, r)
    probability : ndarray, shape (n_angles,)
    """
    r = coordinates.shape[1]
    if r == 1:
        return np.array([[1.0], [-1.0]]), np.full(2, 0.5)
    if r == 2:
        normals = np.arctan2(coordinates[:, 1], coordinates[:, 0])
        phi, weights = _circle(normals + np.pi / 2, strength)
        return np.stack([np.cos(phi), np.sin(phi)], axis=1), weights / (2 * np.pi)
    return _sphere_rule(coordinates, strength)


def _sphere_rule(coordinates: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Product rule in longitude and latitude, its panels ending on every switching circle.

    A pole where two of the circles meet makes meridians of them. Every other circle crosses each
    meridian once, at a latitude that is an analytic function of the longitude. The order of the
    crossings changes only at the longitudes where two circles meet.
    """
    pole = _best_pole(coordinates)
    frame = np.linalg.svd(pole[None])[2]
    vectors = coordinates @ np.stack([frame[1], frame[2], pole], axis=1)
    tilted = vectors[np.abs(vectors[:, 2]) > _TOLERANCE]
    meridians = vectors[np.abs(vectors[:, 2]) <= _TOLERANCE]
    meetings = [np.cross(a, b) for a, b in itertools.combinations(tilted, 2)]
    cuts = [np.arctan2(v[1], v[0]) + np.pi / 2 for v in meridians]
    cuts += [np.arctan2(v[1], v[0]) for v in meetings if np.hypot(v[0], v[1]) > _TOLERANCE]
    cuts += [cut for v in tilted for cut in _swings(v)]
    phi, phi_weights = _circle(np.array(cuts), strength)

    horizontal = np.stack([np.cos(phi), np.sin(phi)])  # (2, n_phi)
    crossing = np.arctan2(
        np.abs(tilted[:, 2:]), -np.sign(tilted[:, 2:]) * (tilted[:, :2] @ horizontal)
    )
    ends = np.vstack([np.zeros_like(phi), np.sort(crossing, axis=0), np.full_like(phi, np.pi)])
    omega, probability = [], []
    for low, high in itertools.pairwise(ends):
        n_panels = _n_panels(np.max(high - low), 1 + strength)
        unit, unit_weights = _panels(np.linspace(0, 1, n_panels + 1))
        theta = low + np.outer(unit, high - low)  # (n_theta, n_phi)
        omega.append(np.stack([*(np.sin(theta) * horizontal[:, None]), np.cos(theta)], axis=-1))
        probability.append(
            np.outer(unit_weights, phi_weights * (high - low)) * np.sin(theta) / (4 * np.pi)
        )
    nodes = np.concatenate([block.reshape(-1, 3) for block in omega])
    basis = np.stack([frame[1], frame[2], pole])
    return nodes @ basis, np.concatenate([block.ravel() for block in probability])


def _swings(normal: np.ndarray) -> list[float]:
    """Cuts around the longitude where a steep circle swings from one pole to the other.

    The swing is as narrow as the sine of the circle's distance from the poles; panels that double
    in length away from it resolve every narrowness.
    """
    width = abs(normal[2]) / max(np.hypot(normal[0], normal[1]), abs(normal[2]))
    centre = np.arctan2(normal[1], normal[0]) + np.pi / 2
    lengths = width * 2.0 ** np.arange(np.ceil(-np.log2(width)))
    return [centre, *(centre + lengths), *(centre - lengths)]


def _best_pole(coordinates: np.ndarray) -> np.ndarray:
    """The meeting point of two circles that stays farthest from all the others."""
    best, best_margin = np.zeros(3), -1.0
    for a, b in itertools.combinations(coordinates, 2):
        axis = np.cross(a, b)
        if np.linalg.norm(axis) <= _TOLERANCE:
            continue
        axis = axis / np.linalg.norm(axis)
        heights = np.abs(coordinates @ axis)
        margin = float(np.min(heights[heights > _TOLERANCE], initial=1.0))
        if margin > best_margin:
            best, best_margin = axis, margin
    return best


def _circle(cuts: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on one turn, with panels that end at the angles `cuts`, modulo pi."""
    ends = np.unique(np.concatenate([cuts % np.pi, cuts % np.pi + np.pi]))
    ends = np.append(ends, ends[0] + 2 * np.pi)
    pieces = [
        np.linspace(a, b, _n_panels(b - a, 1 + strength) + 1)[:-1]
        for a, b in itertools.pairwise(ends)
        if b > a
    ]
    return _panels(np.append(np.concatenate(pieces), ends[-1]))


def _n_panels(length: float, curvature: float) -> int:
    """Number of panels, each of two standard deviations of a Gaussian of this curvature."""
    return int(np.ceil(length * np.sqrt(curvature) / 2))


def _panels(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on the consecutive intervals of `ends`."""
    middle, half = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
    return (middle[:, None] + half[:, None] * _NODES).ravel(), np.outer(half, _WEIGHTS).ravel()
