"""The compiled profile that measures each kernel of the theory."""

from collections.abc import Callable

from numpy.typing import NDArray

from ..numerics import kernels as measured
from ..theory import kernels as theory

Profile = Callable[[NDArray], NDArray]


def measured_profile(kernel: theory.Kernel, d: int) -> Profile:
    """The profile of a registered kernel, as ``numerics`` computes it.

    No formula of ``theory`` enters, so that a spectrum measured through it tests that theory.

    Parameters
    ----------
    kernel : Kernel
        A member of ``theory.kernels``.
    d : int
        Ambient dimension.

    Returns
    -------
    callable
        Maps an array of cosines in [-1, 1] to an array of the same shape.

    Raises
    ------
    ValueError
        If ``numerics`` has no such kernel.
    """
    match kernel:
        case theory.ArcCosine():
            # E|g|^{2n}, the ratio of Gaussian features to features on the sphere.
            ratio = 1.0
            if kernel.features == "gaussian":
                for i in range(kernel.order):
                    ratio *= d + 2 * i
            return lambda u: ratio * measured.arc_cosine(u, d, kernel.order)
        case theory.LeakyReLU():
            a, b = float(kernel.a), float(kernel.b)
            return lambda u: measured.leaky_relu(u, d, a, b, kernel.order)
        case theory.NTK():
            return measured.neural_tangent
        case theory.DeepNTK():
            return lambda u: measured.neural_tangent(u, kernel.depth)
        case theory.RBF():
            scale = float(kernel.scale)
            return lambda u: measured.rbf(u, scale)
        case theory.Laplace():
            rate = float(kernel.rate)
            return lambda u: measured.laplace(u, rate)
        case theory.Stein(base=theory.RBF() as base):
            width = float(base.scale)
            return lambda u: measured.stein_rbf(u, d, width)
    raise ValueError(f"kernel must be one that numerics can measure; got {kernel.name}")
