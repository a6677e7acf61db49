import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from lazyactive.experiments import plots, sphere_view
from lazyactive.experiments.movie_scene import ATTRACTS, POINT, REPELS
from lazyactive.numerics import ShallowEBM, sphere


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
    dots = found["points"].get_xydata() / unit
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
