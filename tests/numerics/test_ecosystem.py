"""The estimator where users put it: in searches and pipelines, on frames, lists and files."""

import numpy as np
import pandas
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from lazyactive.numerics import ShallowEBM
from lazyactive.numerics.teachers import PlantedEnergy

SMALL = {"regime": "lazy", "n_neurons": 64, "penalty": 0.1, "n_reference": 4096, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    return PlantedEnergy(np.eye(1, 3), np.array([-8.0])).sample(300, rng=1)


@pytest.fixture(scope="module")
def model(X):
    return ShallowEBM(**SMALL).fit(X)


def test_a_grid_search_chooses_by_the_held_out_density(X):
    grid = {"penalty": [1e-3, 1e3]}
    search = GridSearchCV(ShallowEBM(**SMALL), grid, cv=2).fit(X)
    # With the second penalty the density is almost uniform, far from that of the data.
    assert search.best_params_ == {"penalty": 1e-3}
    assert search.score(X) > 0.3


def test_a_pipeline_projects_to_the_sphere(X, model):
    stretched = X * np.linspace(0.5, 2, len(X))[:, None]
    pipeline = make_pipeline(Normalizer(), ShallowEBM(**SMALL)).fit(stretched)
    np.testing.assert_allclose(pipeline.score_samples(stretched), model.score_samples(X), atol=1e-9)


def test_frames_lists_and_files_give_the_same(X, model, tmp_path):
    exact = model.score_samples(X)
    frame = pandas.DataFrame(X, columns=["x", "y", "z"])
    fitted = ShallowEBM(**SMALL).fit(frame)
    assert list(fitted.feature_names_in_) == ["x", "y", "z"]
    np.testing.assert_array_equal(fitted.score_samples(frame), exact)
    np.testing.assert_array_equal(ShallowEBM(**SMALL).fit(X.tolist()).score_samples(X), exact)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert not mapped.flags.writeable
    np.testing.assert_allclose(
        ShallowEBM(**SMALL).fit(mapped).score_samples(mapped), exact, atol=1e-9
    )


def test_a_frame_with_columns_in_another_order_is_refused(X):
    frame = pandas.DataFrame(X, columns=["x", "y", "z"])
    fitted = ShallowEBM(**SMALL).fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        fitted.score_samples(frame[["y", "x", "z"]])
