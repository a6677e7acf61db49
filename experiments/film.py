"""A training run on the sphere of R^3, moment by moment, and the claims that can give one."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .claim import Claim

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    r"""The model at one moment of training.

    Parameters
    ----------
    time : float
        Flow time of training.
    neurons : ndarray of shape (m, 3)
        Unit vectors theta.
    weights : ndarray of shape (m,)
        Signed weights c of :math:`f(x) = \frac1m \sum_j c_j \max(\langle\theta_j, x\rangle,
        0)^\alpha`; a negative one attracts.
    walkers : ndarray of shape (n_walkers, 3)
        A sample of the model.
    kl : float
        Divergence KL of the true density from the model, in nats.
    variation : float
        F1 norm of the network.
    """

    time: float
    neurons: "NDArray[np.float64]"
    weights: "NDArray[np.float64]"
    walkers: "NDArray[np.float64]"
    kl: float
    variation: float


@dataclass(frozen=True, eq=False)
class Film:
    r"""A training run: data and teacher, which do not change, and the frames.

    Parameters
    ----------
    title : str
    data : ndarray of shape (n, 3)
        Points of the sphere that the model is trained on.
    directions : ndarray of shape (J, 3)
        The teacher's unit vectors d.
    teacher_weights : ndarray of shape (J,)
        Weights w of :math:`f^*(x) = \frac1J \sum_j w_j \max(\langle d_j, x\rangle, 0)^\alpha`.
    alpha : int
        Power of the activation, of teacher and model.
    frames : tuple of Frame
        In the order of time.
    """

    title: str
    data: "NDArray[np.float64]"
    directions: "NDArray[np.float64]"
    teacher_weights: "NDArray[np.float64]"
    alpha: int
    frames: tuple[Frame, ...]


class FilmedClaim(Claim):
    """A claim with a training run to look at: ``lazyactive movie`` draws it."""

    @abstractmethod
    def film(
        self, n_frames: int, rng: "np.random.Generator", progress: Callable[[int], Any]
    ) -> Film:
        """Train in three dimensions, and keep `n_frames` moments.

        Parameters
        ----------
        n_frames : int
            At least 2; the first is the start of training and the last its end.
        rng : numpy.random.Generator
            Source of all randomness.
        progress : callable
            To be called with the number of frames that were added since its last call, as
            ``tqdm.update`` is.

        Returns
        -------
        Film
        """


def check_film(film: Film) -> Film:
    """Return the film, if it can be drawn.

    Raises
    ------
    ValueError
        If there is no frame, if an array has the wrong shape, is not finite or leaves the sphere
        of R^3, if a number is not finite, or if time does not increase.
    """
    import math
    from itertools import pairwise

    from ..numerics._checks import check_alpha, check_vector

    if not film.frames:
        raise ValueError("frames must hold at least one frame, but there is none.")
    check_alpha(film.alpha)
    _check_points(film.data, "data")
    _check_points(film.directions, "directions")
    check_vector(film.teacher_weights, len(film.directions), "teacher_weights")
    for i, frame in enumerate(film.frames):
        _check_points(frame.neurons, f"neurons of frame {i}")
        _check_points(frame.walkers, f"walkers of frame {i}")
        check_vector(frame.weights, len(frame.neurons), f"weights of frame {i}")
        for name in ("time", "kl", "variation"):
            value = getattr(frame, name)
            if not math.isfinite(value):
                raise ValueError(f"{name} of frame {i} must be a finite number, but is {value}.")
    for i, (before, after) in enumerate(pairwise(film.frames), 1):
        if not before.time < after.time:
            raise ValueError(
                f"time must increase from frame to frame, but is {after.time:g} in frame {i} "
                f"after {before.time:g}."
            )
    return film


def _check_points(points: "NDArray[np.float64]", name: str) -> None:
    from ..numerics._checks import check_sphere

    if check_sphere(points, name).shape[1] != 3:
        raise ValueError(f"{name} must be in R^3, but have shape {points.shape}.")
