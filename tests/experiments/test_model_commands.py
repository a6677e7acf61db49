import io

import numpy as np
import pytest
from click.testing import CliRunner

from lazyactive.experiments.cli import main
from lazyactive.experiments.data_files import read_points
from lazyactive.numerics import ShallowEBM, save_model, sphere
from lazyactive.numerics.sampling.reweighting import LogPartition, PartitionFunctionError


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def model():
    X = sphere.uniform(300, 3, rng=1)
    return ShallowEBM("lazy", n_neurons=8, n_reference=1000, random_state=2).fit(X)


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "model.npz"
    save_model(model, path)
    return path


def test_samples_are_those_of_the_model(model, saved, tmp_path):
    expected = model.sample(50, 4)
    printed = invoke("sample", saved, "-n", 50, "--seed", 4)
    assert printed.exit_code == 0, printed.output
    header, _, rest = printed.stdout.partition("\n")
    assert header == "x1,x2,x3"
    assert np.array_equal(np.loadtxt(io.StringIO(rest), delimiter=","), expected)
    for name in ("deep/points.csv", "points.npy", "points.CSV"):
        result = invoke("sample", saved, "-n", 50, "--seed", 4, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert not result.stdout
        assert np.array_equal(read_points(tmp_path / name), expected)
    assert not np.array_equal(model.sample(50, 5), expected)


def test_scores_are_those_of_the_model(model, saved, tmp_path):
    X = sphere.uniform(30, 3, rng=6)
    expected = model.score_samples(X)
    np.save(tmp_path / "points.npy", X)
    np.savetxt(tmp_path / "scaled.csv", 3 * X, delimiter=";")
    result = invoke("score", saved, tmp_path / "points.npy")
    assert result.exit_code == 0, result.output
    se = np.hypot(expected.std(ddof=1) / np.sqrt(30), model.log_partition_se_)
    words = f"mean log-density {expected.mean():.6g} ± {se:.4f} nats (30 points)"
    assert result.stdout == f"{words}\n"
    for out in ("scores.csv", "scores.npy"):
        done = invoke(
            "score", saved, tmp_path / "scaled.csv", "--normalize", "--out", tmp_path / out
        )
        assert done.exit_code == 0, done.output
    assert np.abs(np.load(tmp_path / "scores.npy") - expected).max() < 1e-12
    written = (tmp_path / "scores.csv").read_text().splitlines()
    assert written[0] == "log_density"
    assert np.abs(np.array(written[1:], float) - expected).max() < 1e-12
    points = invoke("score", saved, tmp_path / "points.npy", "--points")
    # All digits, and nothing but numbers where a program reads.
    assert [float(line) for line in points.stdout.splitlines()] == expected.tolist()
    assert words in points.stderr


def test_one_point_has_no_standard_error(saved, tmp_path):
    (tmp_path / "one.csv").write_text("0,0,1\n")
    result = invoke("score", saved, tmp_path / "one.csv")
    assert result.exit_code == 0
    assert "one point, which has no standard error" in result.stdout
    assert "inf" not in result.stdout


def test_a_model_that_normalizes_does_so_here(model, tmp_path):
    model.normalize = True
    save_model(model, tmp_path / "model.npz")
    model.normalize = False
    (tmp_path / "points.csv").write_text("0,0,2\n")
    assert invoke("score", tmp_path / "model.npz", tmp_path / "points.csv").exit_code == 0


def test_bad_usage_is_named(saved, tmp_path):
    (tmp_path / "plane.csv").write_text("0,1\n1,0\n")
    (tmp_path / "points.csv").write_text("0,0,1\n")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(saved.read_bytes()[:-3])
    for arguments, words in (
        (["score", saved, tmp_path / "plane.csv"], "dimension 3, as the model, but they have 2"),
        (["score", broken, tmp_path / "points.csv"], "must be a model saved by lazyactive"),
        (["sample", broken, "-n", 3], "MODEL"),
        (["score", saved, tmp_path / "none.csv"], "FILE"),
        (["sample", saved], "-n"),
        (["sample", saved, "-n", 0], "-n"),
        (["sample", saved, "-n", 3, "--out", tmp_path / "points.txt"], ".csv or .npy"),
        (["sample", saved, "-n", 3, "--out", saved / "points.csv"], "--out"),
        (["score", saved, tmp_path / "points.csv", "--out", tmp_path / "x.json"], "--out"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 2, result.output
        assert words in result.stderr, result.stderr
        assert not result.stdout
    (tmp_path / "folder.csv").mkdir()
    result = invoke("sample", saved, "-n", 3, "--out", tmp_path / "folder.csv")
    assert result.exit_code == 2
    assert "it is a folder" in result.stderr
    assert not list((tmp_path / "folder.csv").iterdir())


def test_a_model_that_cannot_be_sampled_is_named(saved, monkeypatch):
    def hopeless(*_):
        raise PartitionFunctionError(LogPartition(80.0, 1.0, 3.2), 100)

    monkeypatch.setattr(ShallowEBM, "sample", hopeless)
    result = invoke("sample", saved, "-n", 3)
    assert result.exit_code == 2
    assert "too concentrated" in result.stderr
    assert "MODEL" in result.stderr


def test_an_interruption_is_told_by_the_exit_code(saved, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ShallowEBM, "sample", interrupt)
    result = invoke("sample", saved, "-n", 3, "--out", tmp_path / "points.csv")
    assert result.exit_code == 130
    assert not (tmp_path / "points.csv").exists()


@pytest.mark.parametrize("command", ["sample", "score"])
def test_help_teaches(command):
    text = CliRunner().invoke(main, [command, "--help"]).stdout
    assert f"lazyactive {command} results/earthquakes/active.npz" in text
    assert "Exit code" in text
