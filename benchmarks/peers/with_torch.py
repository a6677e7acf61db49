"""PyTorch on CPU: formulas under `torch.compile`, and gradients by autograd where that is natural.

Tensors share the memory of the arrays and are made once. What needs no tape is run without one.
"""

import math
from collections.abc import Callable

import torch
from numpy.typing import NDArray
from torch import Tensor

from ..machine import cores
from .blocks import rows_in_cache, rows_of_pairs

torch.set_num_threads(cores())
Run = Callable[[], tuple | NDArray | float]


def _compiled(function: Callable) -> Callable:
    return torch.compile(function, dynamic=False)


def _tensors(*arrays: NDArray) -> list[Tensor]:
    return [torch.from_numpy(a) for a in arrays]


def _energy(X: Tensor, neurons: Tensor, weights: Tensor) -> Tensor:
    return torch.relu(X @ neurons.T) @ weights / len(weights)


def energy(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    inputs, compiled = _tensors(X, neurons, weights), _compiled(_energy)

    def run() -> NDArray:
        with torch.inference_mode():
            return compiled(*inputs).numpy()

    return run


def energy_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    inputs, blocks = _tensors(neurons, weights), _blocks(X, len(neurons))
    compiled = _compiled(_energy)

    def run() -> NDArray:
        with torch.inference_mode():
            return torch.cat([compiled(x, *inputs) for x in blocks]).numpy()

    return run


def _blocks(array: NDArray, m: int) -> list[Tensor]:
    return list(torch.from_numpy(array).split(rows_in_cache(len(array), m)))


def _score(X: Tensor, neurons: Tensor, weights: Tensor) -> Tensor:
    return torch.where(X @ neurons.T > 0, weights, 0) @ neurons / len(weights)


def score(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    inputs, compiled = _tensors(X, neurons, weights), _compiled(_score)

    def run() -> NDArray:
        with torch.inference_mode():
            return compiled(*inputs).numpy()

    return run


def score_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    inputs, blocks = _tensors(neurons, weights), _blocks(X, len(neurons))
    compiled = _compiled(_score)

    def run() -> NDArray:
        with torch.inference_mode():
            return torch.cat([compiled(x, *inputs) for x in blocks]).numpy()

    return run


def score_by_autograd(X: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    points, theta, c = _tensors(X, neurons, weights)
    points.requires_grad_()
    compiled = _compiled(lambda x, theta, c: _energy(x, theta, c).sum())

    def run() -> NDArray:
        return torch.autograd.grad(compiled(points, theta, c), points)[0].numpy()

    return run


def _moments(X: Tensor, neurons: Tensor, mass: Tensor) -> Tensor:
    return torch.where(X @ neurons.T > 0, mass[:, None], 0).T @ X


def _gradient(X: Tensor, neurons: Tensor, weights: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    m = len(weights)
    moments = _moments(X, neurons, mass)
    return moments * weights[:, None] / m, (moments * neurons).sum(1) / m


def gradient(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    inputs, compiled = _tensors(X, neurons, weights, mass), _compiled(_gradient)

    def run() -> tuple[NDArray, NDArray]:
        with torch.inference_mode():
            slopes, values = compiled(*inputs)
        return slopes.numpy(), values.numpy()

    return run


def gradient_in_blocks(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    m = len(weights)
    blocks = list(zip(_blocks(X, m), _blocks(mass, m), strict=True))
    (theta, c), compiled = _tensors(neurons, weights), _compiled(_moments)

    def run() -> tuple[NDArray, NDArray]:
        with torch.inference_mode():
            moments = sum(compiled(x, theta, s) for x, s in blocks)
            slopes, values = moments * c[:, None] / m, (moments * theta).sum(1) / m
        return slopes.numpy(), values.numpy()

    return run


def gradient_by_autograd(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Run:
    points, theta, c, masses = _tensors(X, neurons, weights, mass)
    parameters = theta.requires_grad_(), c.requires_grad_()
    compiled = _compiled(lambda x, theta, c, s: s @ _energy(x, theta, c))

    def run() -> tuple[NDArray, NDArray]:
        slopes, values = torch.autograd.grad(compiled(points, *parameters, masses), parameters)
        return slopes.numpy(), values.numpy()

    return run


def _loss(data: Tensor, reference: Tensor, neurons: Tensor, weights: Tensor) -> Tensor:
    f_data = _energy(data, neurons, weights)
    log_sum = torch.logsumexp(-_energy(reference, neurons, weights), 0)
    return f_data.mean() + log_sum - math.log(len(reference))


def _likelihood(
    data: Tensor, reference: Tensor, neurons: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    m = len(weights)
    at_data, at_reference = data @ neurons.T, reference @ neurons.T
    f = torch.relu(at_reference) @ weights / m
    loss = (torch.relu(at_data) @ weights / m).mean() + torch.logsumexp(-f, 0)
    loss = loss - math.log(len(reference))
    moments = torch.where(at_data > 0, 1 / len(data), 0).T @ data
    moments = (
        moments - torch.where(at_reference > 0, torch.softmax(-f, 0)[:, None], 0).T @ reference
    )
    return loss, moments * weights[:, None] / m, (moments * neurons).sum(1) / m


def likelihood(data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray) -> Run:
    inputs, compiled = _tensors(data, reference, neurons, weights), _compiled(_likelihood)

    def run() -> tuple[float, NDArray, NDArray]:
        with torch.inference_mode():
            loss, slopes, values = compiled(*inputs)
        return float(loss), slopes.numpy(), values.numpy()

    return run


def likelihood_in_blocks(
    data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray
) -> Run:
    m = len(weights)
    at_data, at_reference = _blocks(data, m), _blocks(reference, m)
    uniform = torch.full((len(at_data[0]),), 1 / len(data), dtype=at_data[0].dtype)
    theta, c = _tensors(neurons, weights)
    energy, moments_of = _compiled(_energy), _compiled(_moments)

    def run() -> tuple[float, NDArray, NDArray]:
        with torch.inference_mode():
            f_data = torch.cat([energy(x, theta, c) for x in at_data])
            f = torch.cat([energy(x, theta, c) for x in at_reference])
            loss = f_data.mean() + torch.logsumexp(-f, 0) - math.log(len(f))
            density = torch.softmax(-f, 0).split(len(at_reference[0]))
            moments = sum(moments_of(x, theta, uniform) for x in at_data)
            moments -= sum(
                moments_of(x, theta, q) for x, q in zip(at_reference, density, strict=True)
            )
            slopes, values = moments * c[:, None] / m, (moments * theta).sum(1) / m
        return float(loss), slopes.numpy(), values.numpy()

    return run


def likelihood_by_autograd(
    data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray
) -> Run:
    *points, theta, c = _tensors(data, reference, neurons, weights)
    parameters = theta.requires_grad_(), c.requires_grad_()
    compiled = _compiled(_loss)

    def run() -> tuple[float, NDArray, NDArray]:
        loss = compiled(*points, *parameters)
        slopes, values = torch.autograd.grad(loss, parameters)
        return float(loss.detach()), slopes.numpy(), values.numpy()

    return run


def _ksd_rows(x: Tensor, s: Tensor, X: Tensor, shifted: Tensor) -> tuple[Tensor, Tensor]:
    d = X.shape[1]
    u = x @ X.T
    kappa = torch.exp(u - 1)
    sums, product = kappa.sum(1), kappa * u
    pulled, points = kappa @ shifted, product @ X
    total = (s * (pulled - 2 * points)).sum(dtype=torch.float64)
    total = total - d * sums.sum(dtype=torch.float64)
    total = total + (product * (u * u + u - 1)).sum(1).sum(dtype=torch.float64)
    return total, pulled + x * sums[:, None] - points


def ksd(X: NDArray, scores: NDArray) -> Run:
    """By the sums over y, in blocks of rows."""
    points, scores = _tensors(X, scores)
    compiled, (n, d) = _compiled(_ksd_rows), points.shape
    size = rows_of_pairs(n)

    def run() -> tuple[float, NDArray]:
        with torch.inference_mode():
            shifted = scores - (d - 1) * points
            parts = [
                compiled(points[i : i + size], shifted[i : i + size], points, shifted)
                for i in range(0, n, size)
            ]
            field = torch.cat([rows for _, rows in parts]) * (2 / n**2)
            field = field - (points * field).sum(1, keepdim=True) * points
            return float(sum(total for total, _ in parts)) / n**2, field.numpy()

    return run


def _arc_cosine_sum(x: Tensor, Y: Tensor) -> Tensor:
    u = (x @ Y.T).clamp(-1, 1)
    kernel = torch.sqrt(1 - u * u) + (torch.pi - torch.acos(u)) * u
    return kernel.sum(1).sum(dtype=torch.float64)


def f2_ipm(X: NDArray, Y: NDArray) -> Run:
    points, others = _tensors(X, Y)
    compiled, (n, d) = _compiled(_arc_cosine_sum), points.shape
    size = rows_of_pairs(n)

    def total(A: Tensor, B: Tensor) -> float:
        return float(sum(compiled(A[i : i + size], B) for i in range(0, n, size))) / (
            2 * torch.pi * d
        )

    def run() -> float:
        with torch.inference_mode():
            own = total(points, points) + total(others, others) - 2 * n / (2 * d)
            return own / (n * (n - 1)) - 2 * total(points, others) / n**2

    return run


def legendre(t: NDArray, d: int, max_degree: int) -> Run:
    """The recurrence of three terms, unrolled by the compiler."""

    def table(t: Tensor) -> Tensor:
        rows = [torch.ones_like(t), t]
        for k in range(1, max_degree):
            a, b = (2 * k + d - 2) / (k + d - 2), k / (k + d - 2)
            rows.append(a * t * rows[k] - b * rows[k - 1])
        return torch.stack(rows)

    (points,), compiled = _tensors(t), _compiled(table)

    def run() -> NDArray:
        with torch.inference_mode():
            return compiled(points).numpy()

    return run
