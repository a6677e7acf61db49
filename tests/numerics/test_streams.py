import numpy as np
import pytest

from lazyactive.numerics import ShallowEBM, sphere, streams
from lazyactive.numerics.streams import StreamedRows
from lazyactive.numerics.training.likelihood import Likelihood


@pytest.fixture
def in_file(tmp_path):
    X = sphere.uniform(1000, 3, 0, np.float32)
    path = tmp_path / "points.npy"
    np.save(path, X)
    return X, np.load(path, mmap_mode="r")


@pytest.mark.parametrize("part", [slice(None), slice(100, 900), slice(300, 301)])
def test_blocks_are_the_rows(in_file, part, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK", 64)
    X, source = in_file
    rows = StreamedRows(source)[part]
    blocks = list(rows.blocks())
    assert max(map(len, blocks)) <= 64
    np.testing.assert_array_equal(np.concatenate(blocks), X[part])
    assert rows.shape == X[part].shape


def test_choices_of_choices(in_file, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK", 64)
    X, source = in_file
    chosen = np.flatnonzero(np.arange(1000) % 3)
    rows = StreamedRows(source).astype(np.float64)[chosen][50:500]
    expected = X[chosen][50:500]
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks())), expected)
    assert next(rows.blocks()).dtype == np.float64


def test_a_view_of_a_map_is_read_where_it_lies(in_file):
    X, source = in_file
    for view in (source[200:400], source[::2], source[:, ::-1]):
        rows = StreamedRows(view)
        np.testing.assert_array_equal(np.concatenate(list(rows.blocks())), np.asarray(view))
    assert len(X) == len(source)


def test_rows_off_the_sphere_are_refused_when_read(tmp_path):
    X = sphere.uniform(100, 3, 0)
    X[70] *= 2
    np.save(tmp_path / "points.npy", X)
    source = np.load(tmp_path / "points.npy", mmap_mode="r")
    with pytest.raises(ValueError, match="unit sphere"):
        StreamedRows(source).check()
    with pytest.raises(ValueError, match="unit sphere"):
        ShallowEBM().fit(source)
    blocks = list(StreamedRows(source, normalize=True).blocks())
    np.testing.assert_allclose(blocks[0][70], X[70] / 2)


def test_a_streamed_likelihood_is_the_likelihood(in_file, monkeypatch):
    X, source = in_file
    rng = np.random.default_rng(1)
    reference = sphere.uniform(2000, 3, rng)
    network = rng.standard_normal((6, 3)), 5 * rng.standard_normal(6)
    whole = Likelihood.of(X.astype(np.float64), reference, 1)
    monkeypatch.setattr(streams, "BLOCK", 300)
    streamed = Likelihood.of(StreamedRows(source, np.float64), reference, 1)
    for ours, theirs in zip(
        streamed.value_and_gradient(*network), whole.value_and_gradient(*network), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(streamed.pointwise(*network), whole.pointwise(*network), rtol=1e-12)


@pytest.mark.parametrize(
    "options", [{"solver": "particles"}, {"solver": "sparse"}, {"regime": "lazy"}]
)
def test_a_model_of_a_map_is_the_model_of_the_array(in_file, options):
    X, source = in_file
    settings = {"n_neurons": 8, "n_reference": 2000, "random_state": 0, **options}
    of_array = ShallowEBM(**settings).fit(X)
    of_map = ShallowEBM(**settings).fit(source)
    np.testing.assert_array_equal(of_map.neurons_, of_array.neurons_)
    np.testing.assert_array_equal(of_map.score_samples(source), of_array.score_samples(X))


@pytest.mark.parametrize("shape", [(5,), (1, 3), (4, 1)])
def test_a_map_of_the_wrong_shape_is_refused(tmp_path, shape):
    np.save(tmp_path / "points.npy", np.ones(shape))
    with pytest.raises(ValueError, match="X must"):
        ShallowEBM().fit(np.load(tmp_path / "points.npy", mmap_mode="r"))
