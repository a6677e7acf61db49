r"""From an ordinary implementation to the flow time and the penalty of this package.

An implementation trains :math:`f(x) = m^{-p} \sum_j a_j\,\sigma(\langle w_j, x\rangle)` by gradient
steps of learning rates :math:`\eta_s`, perhaps with weight decay, the gradient of half of
:math:`\omega` times the squared length of what is trained. Here
:math:`f = \frac1m\sum_j c_j\,\sigma(\langle\theta_j, x\rangle)`, a step of size h moves a particle
by :math:`-h\,m\,\partial L` (see `lazyactive.numerics.training.particles`), and the penalty is
:math:`\frac\lambda2` times the mean square of what is trained. With
:math:`c = m^\beta a` a step is

.. math:: c \leftarrow c - \eta\,m^{2\beta-1} \cdot m\,\partial_c L - \eta\,\omega\,c ,

so that :math:`h = \eta\,m^{2\beta-1}` and :math:`\lambda = \omega\,m^{1-2\beta}`:

* where output weights alone are trained, :math:`\beta = 1 - p`;
* where neurons are trained with them, :math:`\theta = m^\beta w` too, so that both move in one
  time, and :math:`\beta = (1-p)/(1+\alpha)`.

So a plain network (p = 0) of rectifiers is trained at :math:`h = \eta` in both layers whatever its
width, and at :math:`h = m\,\eta` in the output layer alone. Features that are frozen need not be on
the sphere: those of squared length :math:`v = E\|w_j\|^{2\alpha}` multiply the kernel, so in units
of the sphere, in which `learning_curves` is written, the time is v times as long and the penalty
is 1/v of it. That holds to the last digit for neurons of one length, and on average for random
ones, at infinite width. Derived here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._checks import check_integer, check_positive
from .kernels.arc_cosine import gaussian_moment

PARAMETRIZATIONS = {"plain": 0.0, "ntk": 0.5, "mean-field": 1.0}
LAYERS = ("output", "both")


def gaussian_features(d: int, alpha: int = 1, variance: float = 1.0) -> float:
    r"""Return :math:`v = E\|w\|^{2\alpha}` of Gaussian neurons, ``variance`` in each coordinate.

    Parameters
    ----------
    d : int
        Ambient dimension, at least 2.
    alpha : int, default=1
        Power of the activation, at least 0.
    variance : float, default=1.0

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    d, alpha = check_integer("d", d, 2), check_integer("alpha", alpha, 0)
    return check_positive("variance", variance) ** alpha * float(gaussian_moment(alpha, d))


@dataclass(frozen=True)
class Implementation:
    r"""A network :math:`m^{-p} \sum_j a_j\,\sigma(\langle w_j, x\rangle)`, and what is trained.

    Parameters
    ----------
    width : int
        m.
    parametrization : {"plain", "ntk", "mean-field"}
        p = 0, 1/2 or 1. Where learning rates are given before they are multiplied by some power of
        m, multiply them first.
    layers : {"output", "both"}
        Which of them are trained, with one learning rate.
    alpha : int, default=1
        Power of the activation, at least 0; 0 can't train neurons.
    features : float, default=1.0
        :math:`E\|w_j\|^{2\alpha}` of frozen neurons: 1 on the unit sphere, `gaussian_features` for
        Gaussian ones. Neurons in training carry their own length.

    Raises
    ------
    ValueError
        If an argument is out of range, or neurons are trained and ``features`` is not 1.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyactive.theory.flow_time import Implementation, gaussian_features
    >>> lazy = Implementation(width=1000, features=gaussian_features(d=15))
    >>> round(lazy.flow_time(np.full(100, 1e-3)), 6)  # 100 steps of 0.001: 15 times 1000 times 0.1
    1500.0
    >>> lazy.penalty(0.03)
    2e-06
    """

    width: int
    parametrization: str = "plain"
    layers: str = "output"
    alpha: int = 1
    features: float = 1.0

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1)
        check_positive("features", self.features)
        if self.parametrization not in PARAMETRIZATIONS:
            raise ValueError(
                f"parametrization must be one of {', '.join(PARAMETRIZATIONS)}, "
                f"got {self.parametrization!r}."
            )
        if self.layers not in LAYERS:
            raise ValueError(f"layers must be one of {', '.join(LAYERS)}, got {self.layers!r}.")
        check_integer("alpha", self.alpha, 1 if self.layers == "both" else 0)
        if self.layers == "both" and self.features != 1:
            raise ValueError(
                f"features must be 1 where neurons are trained too, got {self.features!r}."
            )

    @property
    def particle_scale(self) -> float:
        r"""The factor :math:`m^\beta` from its parameters to the particles of the package."""
        beta = 1 - PARAMETRIZATIONS[self.parametrization]
        if self.layers == "both":
            beta /= 1 + self.alpha
        return float(self.width) ** beta

    def flow_time(self, learning_rates: ArrayLike) -> float:
        r"""Return :math:`T = v\,m^{2\beta-1} \sum_s \eta_s`.

        Parameters
        ----------
        learning_rates : array_like
            One for each step taken, nonnegative.

        Returns
        -------
        float
            The time of `learning_curves.early_stopping` where the output layer is trained.

        Raises
        ------
        ValueError
            If a rate is negative or not finite.
        """
        rates = np.asarray(learning_rates, dtype=np.float64)
        if not np.all((rates >= 0) & np.isfinite(rates)):
            raise ValueError(
                f"learning_rates must be nonnegative and finite, got {learning_rates!r}."
            )
        return float(rates.sum()) * self._speed

    def penalty(self, weight_decay: float) -> float:
        r"""Return :math:`\lambda = \omega\,m^{1-2\beta}/v`.

        Parameters
        ----------
        weight_decay : float
            :math:`\omega`, positive: the loss has the further term
            :math:`\frac\omega2 \sum_j a_j^2`, and :math:`\frac\omega2\sum_j\|w_j\|^2` where neurons
            are trained.

        Returns
        -------
        float
            Factor of half of the squared F2 norm, :math:`\frac1m\sum_j c_j^2`, or of
            :math:`\frac1{2m}\sum_j (c_j^2 + \|\theta_j\|^2)` where neurons are trained.

        Raises
        ------
        ValueError
            If it is not positive and finite.
        """
        return check_positive("weight_decay", weight_decay) / self._speed

    @property
    def _speed(self) -> float:
        """Flow time for each unit of learning rate."""
        return self.features * self.particle_scale**2 / self.width
