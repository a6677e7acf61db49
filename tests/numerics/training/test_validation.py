import numpy as np

from lazyactive.numerics.training.validation import folds


def test_folds_partition_the_points():
    splits = list(folds(103, np.random.default_rng(0)))
    assert len(splits) == 5
    held_out = np.concatenate([validation for _, validation in splits])
    assert sorted(held_out) == list(range(103))
    for training, validation in splits:
        assert sorted(np.concatenate([training, validation])) == list(range(103))


def test_no_more_folds_than_needed():
    assert len(list(folds(1000, np.random.default_rng(0), enough=200))) == 1
    assert len(list(folds(1000, np.random.default_rng(0), enough=201))) == 2


def test_two_points_make_two_folds():
    assert [len(training) for training, _ in folds(2, np.random.default_rng(0))] == [1, 1]
