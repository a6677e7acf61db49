import math
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from lazyactive.experiments import figures, plots, sphere_view
from lazyactive.experiments.spectrum import compute, resolve
from lazyactive.numerics import ShallowEBM, sphere
from lazyactive.theory import kernels


def fitted(neurons, weights, alpha=1, **parameters):
    """A model with these neurons, and its log Z by quadrature if it is on the sphere of R^3."""
    model = ShallowEBM(alpha=alpha, **parameters)
    model.neurons_, model.weights_ = np.asarray(neurons, float), np.asarray(weights, float)
    model.n_features_in_ = model.neurons_.shape[1]
    model.log_partition_ = 0.0
    if model.n_features_in_ == 3:
        model.log_partition_ = sphere_view.log_partition(model.neurons_, model.weights_, alpha)
    return model


@pytest.fixture
def model():
    # Longitudes 0, 90 and -90 degrees, latitudes 0, 30 and -60; masses 2, 1 and 4.
    half, root = 0.5, np.sqrt(0.75)
    return fitted([[2, 0, 0], [0, root, half], [0, -4 * half, -4 * root]], [-1.0, 1.0, -1.0])


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    assert plt.get_fignums() == []
    yield
    plt.close("all")


def labelled(axes):
    return {artist.get_label(): artist for artist in [*axes.lines, *axes.collections]}


# Maps


def test_the_map_shows_the_density(model):
    axes = Figure().add_subplot()
    plots.plot_map(model, axes=axes, n_parallels=60)
    mesh = axes.collections[0]
    values = mesh.get_array()
    corners = mesh.get_coordinates()
    middles = (corners[1:, 1:] + corners[:-1, :-1]) / 2
    longitude, latitude = np.radians(middles).transpose(2, 0, 1)
    points = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude),
         np.sin(latitude)], axis=-1,
    )  # fmt: skip
    expected = np.exp(model.score_samples(points.reshape(-1, 3)))
    np.testing.assert_allclose(values.ravel(), expected, rtol=1e-12)
    # A cell's share of the sphere, and a midpoint rule of order 2 with cells of 3 degrees.
    shares = np.diff(np.sin(np.radians(corners[:, :-1, 1])), axis=0) / 2 / 120
    assert np.sum(shares) == pytest.approx(1)
    assert np.sum(shares * values) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("projection", "unit"), [(None, 180 / np.pi), ("mollweide", 1.0)])
def test_points_and_neurons_are_in_their_places(model, projection, unit):
    X = [[0, -1, 0], [0, 0, 1], [-np.sqrt(0.5), 0, -np.sqrt(0.5)]]
    axes = Figure().add_subplot(projection=projection)
    plots.plot_map(model, X, axes, n_parallels=10)
    found = labelled(axes)
    dots = found["_points"].get_xydata() / unit
    quarter = np.pi / 4
    np.testing.assert_allclose(
        dots[:, 1], [0, 2 * quarter, -quarter], rtol=0, atol=1e-12
    )  # fmt: skip
    np.testing.assert_allclose(dots[[0, 2], 0], [-2 * quarter, 4 * quarter], rtol=0, atol=1e-12)
    attract, repel = found["neurons that attract"], found["neurons that repel"]
    np.testing.assert_allclose(
        attract.get_offsets() / unit, [[-np.pi / 2, -np.pi / 3], [0, 0]], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        repel.get_offsets() / unit, [[np.pi / 2, np.pi / 6]], rtol=0, atol=1e-12
    )
    areas = np.concatenate([attract.get_sizes(), repel.get_sizes()])
    np.testing.assert_allclose(areas / areas[0], [1, 0.5, 0.25])


def test_longitude_and_latitude_are_those_of_files(tmp_path):
    from lazyactive.experiments.data_files import read_points

    path = tmp_path / "places.csv"
    path.write_text("lat,lon\n48.8,2.3\n-33.9,151.2\n35.7,-139.7\n0,-179.9\n")
    longitude, latitude = sphere_view.longitude_latitude(read_points(path))
    np.testing.assert_allclose(np.degrees(latitude), [48.8, -33.9, 35.7, 0], atol=1e-12)
    np.testing.assert_allclose(np.degrees(longitude), [2.3, 151.2, -139.7, -179.9], rtol=1e-13)


# Hemispheres


def test_the_view_has_the_third_axis_upward():
    for toward in ([0.6, 0.0, 0.8], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]):
        view = sphere_view.upright_view(np.array(toward))
        assert np.abs(view @ view.T - np.eye(3)).max() < 1e-15
        assert np.linalg.det(view) == pytest.approx(1)
        assert view[2].tolist() == toward
    assert (sphere_view.upright_view(np.array([0.6, 0.0, 0.8])) @ [0, 0, 1])[1] > 0


def test_a_hemisphere_shows_the_density_and_what_is_in_front(model):
    axes = Figure().add_subplot()
    plots.plot_hemisphere(model, np.eye(3), axes, toward=[0, 5, 0])
    (image,) = axes.images
    density = image.get_array()
    size, reach = len(density), image.get_extent()[1]
    # Longitude 90 degrees is toward the viewer: the first axis points left.
    row, column = 150, 260
    x, y = (reach * ((2 * i + 1) / size - 1) for i in (column, row))
    point = np.array([[-x, math.sqrt(1 - x**2 - y**2), y]])
    assert density[row, column] == pytest.approx(np.exp(model.score_samples(point)[0]))
    assert density[0, 0] is np.ma.masked
    found = labelled(axes)
    np.testing.assert_allclose(
        found["_points"].get_xydata(), [[-1, 0], [0, 0], [0, 1]], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(found["neurons that repel"].get_offsets(), [[0, 0.5]], atol=1e-12)
    # Of the two that attract one is behind, and one on the rim.
    np.testing.assert_allclose(found["neurons that attract"].get_offsets(), [[-1, 0]], atol=1e-12)


def test_a_hemisphere_looks_at_the_densest_place_by_itself():
    direction = sphere.normalize(np.array([[1.0, -2.0, 0.5]]))[0]
    axes = Figure().add_subplot()
    plots.plot_hemisphere(fitted(direction[None], [-3.0]), axes=axes)
    (offset,) = labelled(axes)["neurons that attract"].get_offsets()
    assert np.linalg.norm(offset) < 0.05


def test_maps_that_are_compared_share_a_scale(model):
    uniform = fitted(np.zeros((1, 3)), np.zeros(1))
    norm = plots.density_norm(uniform)
    assert norm.vmin < 1
    assert norm.vmax == pytest.approx(1)
    both = plots.density_norm(uniform, model)
    nodes, _ = sphere_view.sphere_rule(64)
    values = np.exp(model.score_samples(nodes))
    assert (both.vmin, both.vmax) == pytest.approx((values.min(), values.max()))
    steep = plots.density_norm(fitted([[1, 0, 0]], [-40.0]))
    assert steep.vmax / steep.vmin == pytest.approx(1e4)
    axes = Figure().add_subplot()
    assert plots.plot_map(model, axes=axes, norm=both, n_parallels=4).collections[0].norm is both


# Fits


CURVE = [
    {"n": 40, "regime": "active", "value": 0.3, "se": 0.1},
    {"n": 10, "regime": "active", "value": 0.1, "se": 0.2},
    {"n": 10, "regime": "lazy", "value": 0.2, "se": 0.05},
]


def test_a_learning_curve_has_its_values_and_intervals():
    axes = plots.plot_learning_curve(CURVE, Figure().add_subplot())
    bars = {container.get_label(): container for container in axes.containers}
    line, _, (segments,) = bars["active"].lines
    assert list(line.get_ydata()) == [0.1, 0.3]
    np.testing.assert_allclose(line.get_xdata().astype(float), [10, 40], rtol=0.03)
    ends = [segment[:, 1] for segment in segments.get_segments()]
    np.testing.assert_allclose(ends, [[0.1 - 0.392, 0.1 + 0.392], [0.3 - 0.196, 0.3 + 0.196]])
    assert bars["lazy"].lines[0].get_ydata().tolist() == [0.2]


def test_projections_are_those_on_the_strongest_neuron(monkeypatch):
    model = fitted([[0, 3, 0, 4, 0], [1, 0, 0, 0, 0]], [-1.0, 2.0])
    X, drawn = sphere.uniform(900, 5, 0), sphere.uniform(50, 5, 1)
    monkeypatch.setattr(ShallowEBM, "sample", lambda self, n, rng: drawn[:n])
    axes = plots.plot_projections(model, X, Figure().add_subplot(), n_samples=40)
    bars, outline = axes.containers[0], axes.patches[-1]
    edges = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
    assert len(bars) == 30
    unit = np.array([0, 0.6, 0, 0.8, 0])
    expected, _ = np.histogram(X @ unit, edges, density=True)
    np.testing.assert_allclose([bar.get_height() for bar in bars], expected)
    modelled, _ = np.histogram(drawn[:40] @ unit, edges, density=True)
    assert outline.get_xy()[:, 1].max() == pytest.approx(modelled.max())
    assert outline.get_label() == "active model"
    plots.plot_projections(
        {"a": model, "b": model}, X, axes := Figure().add_subplot(), direction=[0, 0, 2, 0, 0]
    )
    assert axes.get_legend_handles_labels()[1] == ["points", "a model", "b model"]
    lowest = axes.containers[0][0]
    inside = (X[:, 2] >= lowest.get_x()) & (X[:, 2] < lowest.get_x() + lowest.get_width())
    share = inside.sum() / (900 * lowest.get_width())
    assert lowest.get_height() == pytest.approx(share, rel=0.02)


# Spectra


def test_a_spectrum_is_drawn_by_decimal_exponents():
    spectrum = compute(resolve("arc-cosine(1)"), 8, 6)
    lines = {
        line.get_label(): line
        for line in plots.plot_spectrum(spectrum, Figure().add_subplot()).get_lines()
    }
    even = lines["exact, even $k$"]
    # Continued to 20 d; zeros of odd degree are not on the axis.
    assert even.get_xdata().tolist() == list(range(2, 161, 2))
    expected = kernels.log_eigenvalues(spectrum.kernel, 8, 160)[2::2] / math.log(10)
    np.testing.assert_allclose(even.get_ydata(), expected, rtol=1e-12)
    asymptote = next(line for label, line in lines.items() if "(k +3)" in label)
    # With k + d/2 - 1 in place of k, corrections are of relative order (d/k)^2.
    assert abs(asymptote.get_ydata()[-1] - expected[-1]) < 0.005


def test_unresolved_eigenvalues_are_drawn_as_bounds():
    axes = plots.plot_spectrum(compute(resolve("t**2"), 3, 5), Figure().add_subplot())
    containers = {c.get_label(): c for c in axes.containers}
    assert containers["quadrature"].lines[0].get_xdata().tolist() == [2]
    assert containers["bound by quadrature"].lines[0].get_xdata().tolist() == [1, 3, 4, 5]


# Axes


EVEN = sphere.uniform(90, 3, 0)
PLOTS = {
    "map": lambda model, axes: plots.plot_map(model, np.eye(3), axes, n_parallels=12),
    "hemisphere": lambda model, axes: plots.plot_hemisphere(model, np.eye(3), axes),
    "curve": lambda model, axes: plots.plot_learning_curve(CURVE, axes),
    "projections": lambda model, axes: plots.plot_projections(
        model, sphere.uniform(90, 3, 0), axes
    ),
    "spectrum": lambda _, axes: plots.plot_spectrum(compute(resolve("t"), 3, 3), axes),
}


@pytest.fixture
def plot(request, monkeypatch):
    monkeypatch.setattr(ShallowEBM, "sample", lambda self, n, rng: sphere.uniform(n, 3, rng))
    return PLOTS[request.param]


every_plot = pytest.mark.parametrize("plot", PLOTS, indirect=True)


def test_every_function_is_tested_on_axes():
    assert len(PLOTS) == sum(name.startswith("plot_") for name in plots.__all__)


@every_plot
def test_given_axes_are_returned_and_nothing_else_changes(plot, model):
    figure, before = Figure(), dict(matplotlib.rcParams)
    ours, other = figure.subplots(1, 2)
    children = [len(parent.get_children()) for parent in (figure, other)]
    size, limits = figure.get_size_inches().tolist(), other.axis()
    assert plot(model, ours) is ours
    assert ours.has_data()
    assert ours.get_legend() is None
    assert [len(parent.get_children()) for parent in (figure, other)] == children
    assert (figure.get_size_inches().tolist(), other.axis()) == (size, limits)
    assert not figure.legends
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


@every_plot
def test_without_axes_there_is_a_figure_in_house_style(plot, model):
    before = dict(matplotlib.rcParams)
    axes = plot(model, None)
    assert plt.get_fignums() == [axes.figure.number]
    assert len(axes.figure.legends) == 1
    assert dict(matplotlib.rcParams) == before
    # Also where it is drawn later, out of the style.
    axes.figure.canvas.draw()
    sizes = {label.get_fontsize() for label in axes.get_xticklabels() if label.get_text()}
    assert sizes <= {figures._STYLE["xtick.labelsize"]}


def test_the_densities_of_a_new_figure_have_a_bar(model):
    for axes in (plots.plot_map(model, n_parallels=4), plots.plot_hemisphere(model)):
        (bar,) = [other for other in axes.figure.axes if other is not axes]
        assert bar.get_xlabel() == "density (uniform: 1)"


# What can go wrong


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: plots.plot_map(fitted(np.eye(5), np.ones(5))), "dimension 3 .* but d is 5"),
        (lambda m: plots.plot_hemisphere(ShallowEBM()), "not fitted yet"),
        (lambda m: plots.plot_map("model"), "model must be a ShallowEBM, but it is str"),
        (lambda m: plots.plot_map(m, np.eye(4)), "X must have d = 3 columns"),
        (lambda m: plots.plot_hemisphere(m, 2 * np.eye(3)), "X must lie on the unit sphere"),
        (lambda m: plots.plot_map(m, axes=[1]), "one Axes of matplotlib, but it is list"),
        (
            lambda m: plots.plot_map(m, axes=Figure().add_subplot(projection="polar")),
            "axes must be rectangular .* but it is polar",
        ),
        (lambda m: plots.plot_map(m, n_parallels=1), "n_parallels must be an integer >= 2"),
        (lambda m: plots.plot_hemisphere(m, toward=[0, 0, 0]), "toward must have no zero row"),
        (lambda m: plots.plot_hemisphere(m, toward=[1, 0]), r"toward must be .* \(3,\)"),
        (lambda m: plots.density_norm(), "at least one model"),
        (lambda m: plots.plot_learning_curve([]), "at least one point"),
        (lambda m: plots.plot_learning_curve([{"n": 3}]), "point 0 has no 'regime'"),
        (
            lambda m: plots.plot_learning_curve([CURVE[0] | {"regime": "idle"}]),
            "point 0 is of 'idle'",
        ),
        (lambda m: plots.plot_projections({}, np.eye(3)), "at least one model"),
        (lambda m: plots.plot_projections(m, np.eye(4)), "X must have d = 3 columns"),
        (
            lambda m: plots.plot_projections(fitted(np.eye(3), np.zeros(3)), np.eye(3)),
            "direction must be given",
        ),
        (lambda m: plots.plot_spectrum(SimpleNamespace(d=3)), "spectrum must be a Spectrum"),
        (lambda m: plots.plot_spectrum(compute(resolve("t"), 3, 3), plt), "it is module"),
    ],
)
def test_what_can_not_be_drawn_is_refused_and_leaves_no_figure(model, call, words):
    with pytest.raises(ValueError, match=words) as refused:
        call(model)
    assert str(refused.value).endswith(".")
    assert plt.get_fignums() == []
