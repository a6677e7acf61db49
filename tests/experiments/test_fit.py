import hashlib
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from scipy.stats import t

from lazyactive.experiments import figures, fit_command, fit_figure, fitting
from lazyactive.experiments.cli import main
from lazyactive.experiments.statistics import Interval
from lazyactive.numerics import ShallowEBM, estimators, load_model, sphere
from lazyactive.numerics.sampling.diagnostics import Estimate
from lazyactive.numerics.sampling.reweighting import LogPartition, PartitionFunctionError
from lazyactive.numerics.teachers import PlantedEnergy


@pytest.fixture(scope="module", autouse=True)
def _few_reference_points_and_pixels():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(figures._STYLE, "savefig.dpi", 30)
        patch.setattr(estimators, "N_REFERENCE", 4000)
        patch.setattr(estimators, "N_LOG_PARTITION", 4000)
        patch.setattr(fitting, "N_SAMPLES", 200)
        yield


def planted(d, n=400, weight=-4.0):
    return PlantedEnergy(np.eye(1, d), np.array([weight])).sample(n, rng=1)


def fit(file, *arguments, out=None, neurons=2):
    command = ["fit", file, "--n-neurons", neurons, *arguments]
    command += [] if out is None else ["--out", out]
    return CliRunner().invoke(main, [str(a) for a in command])


def made(values, log_partition_se=0.0, **attributes):
    """A fit with these held-out log-densities."""
    model = ShallowEBM()
    model.log_partition_, model.log_partition_se_ = 0.0, log_partition_se
    model.neurons_, model.weights_ = np.eye(1, 3), np.ones(1)
    model.optimality_gap_, model.converged_, model.penalty_, model.n_iter_ = 0.0, True, 0.0, 1
    model.n_features_in_ = 3
    for name, value in attributes.items():
        setattr(model, name, value)
    values = np.asarray(values)
    return fitting.Fit(
        model, 10, Estimate(0.0, 0.0), fitting.mean_log_density(values, log_partition_se),
        values, 0.1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def on_the_sphere(tmp_path_factory):
    """The result of one run in three dimensions, and its folder."""
    folder = tmp_path_factory.mktemp("fit")
    np.savetxt(folder / "points.csv", planted(3), delimiter=",")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return fit("points.csv", "--normalize", "--seed", 3), folder


def test_it_writes_models_figure_and_summary(on_the_sphere):
    result, folder = on_the_sphere
    assert result.exit_code == 0, result.output
    written = {path.name for path in (folder / "results" / "points").iterdir()}
    assert written == {"active.npz", "lazy.npz", "figure.png", "figure.pdf", "summary.json"}
    assert "400 points on the sphere of R^3, 320 for training, 80 held out" in result.stdout
    assert "2/2" in result.stderr
    assert "2/2" not in result.stdout


def test_the_summary_is_what_the_models_say(on_the_sphere):
    result, folder = on_the_sphere
    out = folder / "results" / "points"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["sha256"] == hashlib.sha256((folder / "points.csv").read_bytes()).hexdigest()
    assert summary["seeds"].keys() == {"split", "active", "lazy"}
    assert summary["seeds"]["active"] != summary["seeds"]["lazy"]
    X = sphere.normalize(np.loadtxt(folder / "points.csv", delimiter=","))
    parts = fitting.split(len(X), fitting.Options(seed=3))
    values = {}
    for regime in ("active", "lazy"):
        model = load_model(out / f"{regime}.npz")
        values[regime] = model.score_samples(X[parts.held_out])
        told = summary["regimes"][regime]
        assert told["held_out"]["value"] == pytest.approx(values[regime].mean(), abs=1e-12)
        assert told["training"]["value"] == pytest.approx(model.score(X[parts.training]), abs=1e-12)
        assert told["log_partition_se"] == model.log_partition_se_
        assert f"{values[regime].mean():.4f}" in result.stdout
    gain = summary["active_minus_lazy"]
    assert gain["value"] == pytest.approx((values["active"] - values["lazy"]).mean(), abs=1e-12)
    assert gain["low"] < gain["value"] < gain["high"]
    assert gain["sentence"] in result.stdout


@pytest.mark.slow
def test_the_same_seed_gives_the_same_models(on_the_sphere, tmp_path):
    _, folder = on_the_sphere
    again = fit(folder / "points.csv", "--normalize", "--seed", 3, out=tmp_path)
    assert again.exit_code == 0
    other = fit(folder / "points.csv", "--normalize", "--seed", 4, out=tmp_path / "4")
    assert other.exit_code == 0
    for name in ("active.npz", "lazy.npz", "figure.png", "figure.pdf"):
        before = (folder / "results" / "points" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == before
        assert (tmp_path / "4" / name).read_bytes() != before


def test_in_other_dimensions_there_are_learning_curves(tmp_path):
    np.save(tmp_path / "points.npy", planted(5, 800, -8.0))
    result = fit(tmp_path / "points.npy", "--json", out=tmp_path / "out")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    curve = summary["learning_curve"]
    assert [p["n"] for p in curve] == [80, 80, 160, 160, 320, 320, 640, 640]
    for regime in ("active", "lazy"):
        (last,) = [p for p in curve if p["regime"] == regime and p["n"] == 640]
        assert last["value"] == summary["regimes"][regime]["held_out"]["value"]
    # Two frozen neurons in R^5 are no match for a moving one at w = -8.
    assert summary["active_minus_lazy"]["sentence"].startswith("The active regime wins by")


def test_one_regime_leaves_no_model_of_the_other(on_the_sphere, tmp_path):
    _, folder = on_the_sphere
    (tmp_path / "active.npz").write_bytes(b"of an earlier run")
    result = fit(folder / "points.csv", "--normalize", "--regime", "lazy", out=tmp_path)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "active.npz").exists()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary["regimes"]) == ["lazy"]
    assert "active_minus_lazy" not in summary


# Statistics


def test_the_standard_error_has_two_parts():
    values = np.random.default_rng(0).normal(2.0, 3.0, 50)
    mean, se = fitting.mean_log_density(values, 0.3)
    assert mean == pytest.approx(values.mean())
    assert se == pytest.approx(math.hypot(values.std(ddof=1) / np.sqrt(50), 0.3))
    assert fitting.mean_log_density([1.0], 0.1) == (1.0, math.inf)


def test_the_interval_of_the_difference_covers():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        common = rng.normal(0, 5, 30)
        # The error of log Z is shared by all points of a model.
        active = made(common + rng.normal(0.5, 1, 30) + 0.1 * rng.normal(), 0.1)
        lazy = made(common + 0.2 * rng.normal(), 0.2)
        low, high = fitting.difference(active, lazy)[1:]
        covered += low <= 0.5 <= high
    # 380 of 400 at 95%, standard deviation 4.4; Student's quantile for the part of log Z, which is
    # known, makes it a little more. False alarm below 1e-4.
    assert 362 <= covered <= 397


def test_the_interval_is_students():
    values = np.random.default_rng(2).normal(size=12)
    interval = fitting.difference(made(values), made(np.zeros(12)))
    half = t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert interval == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))


def test_the_sentence_knows_three_outcomes():
    sentence = fitting.sentence
    assert sentence(Interval(0.2, 0.1, 0.3)) == (
        "The active regime wins by 0.2 nats per held-out point, 95% interval [0.1, 0.3]."
    )
    assert sentence(Interval(-0.2, -0.3, -0.1)) == (
        "The lazy regime wins by 0.2 nats per held-out point, 95% interval [0.1, 0.3]."
    )
    assert sentence(Interval(0.2, -0.1, 0.5)) == (
        "These data can't tell which regime is better: active minus lazy is 0.2 nats per "
        "held-out point, 95% interval [-0.1, 0.5]."
    )


def test_the_split_is_a_partition():
    parts = fitting.split(101, fitting.Options(held_out=0.25, seed=5))
    assert len(parts.held_out) == 25
    assert sorted([*parts.training, *parts.held_out]) == list(range(101))
    assert not np.array_equal(np.sort(parts.training), parts.training)
    again = fitting.split(101, fitting.Options(held_out=0.25, seed=5))
    assert np.array_equal(parts.training, again.training)


def test_curve_sizes_have_enough_points():
    assert fitting.curve_sizes(800, fitting.Options()) == [100, 200, 400, 800]
    assert fitting.curve_sizes(7, fitting.Options()) == [3, 7]
    assert fitting.curve_sizes(45, fitting.Options(objective="ksd")) == [11, 22, 45]


def test_summary_without_a_certificate_is_json():
    one = made([0.1, 0.3], optimality_gap_=math.inf)
    data = fitting.summary({"active": one}, [], fitting.Options())
    assert (
        json.loads(json.dumps(data, allow_nan=False))["regimes"]["active"]["optimality_gap"] is None
    )


# Figures


def test_a_model_without_neurons_can_be_drawn():
    idle = made([0.0, 0.0], neurons_=np.zeros((1, 3)), weights_=np.zeros(1))
    figure = Figure()
    fit_figure.draw_sphere({"active": idle}, np.eye(3), figure)
    figure.draw_without_rendering()
    assert fitting.projections({"active": idle}, np.eye(3), 0, print) is None
    figure = Figure()
    curve = [{"n": 10, "regime": "active", "value": 0.0, "se": 0.1}]
    fit_figure.draw_curves(curve, None, figure)
    figure.draw_without_rendering()
    assert len(figure.axes) == 1


# What can go wrong


def hopeless(*_):
    raise PartitionFunctionError(LogPartition(80.0, 1.0, 3.2), 100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--held-out", "0"], "--held-out"),
        (["--held-out", "nan"], "between 0 and 1"),
        (["--held-out", "0.001"], "2 that are held out, but has 400 and 0"),
        (["--held-out", "0.999"], "at least 2 points for training"),
        (["--alpha", "0"], "The active regime: alpha must be 1, 2 or 3"),
        (["--penalty", "0"], "The lazy regime: penalty must be a positive"),
        (["--penalty", "nan"], "penalty must be a nonnegative finite number"),
        (["--objective", "entropy"], "--objective"),
        (["--n-neurons", "0"], "--n-neurons"),
        (["--out", "points.npy/out"], "--out"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_bad_usage_is_named(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    np.save("points.npy", planted(3))
    result = CliRunner().invoke(main, ["fit", "points.npy", *arguments])
    assert result.exit_code == 2
    # The message is wrapped on screen only by the terminal.
    assert words in result.stderr, result.stderr
    assert not (tmp_path / "results").exists()


def test_a_file_that_holds_no_points_is_bad_usage(tmp_path):
    (tmp_path / "points.csv").write_text("0.6,0.8\n1,2\n")
    result = fit(tmp_path / "points.csv")
    assert result.exit_code == 2
    assert "FILE" in result.stderr
    assert "line 2 has norm 2.23607" in result.stderr
    np.save(tmp_path / "wide.npy", np.eye(501))
    result = fit(tmp_path / "wide.npy")
    assert result.exit_code == 2
    assert "at most 500 coordinates" in result.stderr


def test_a_hopeless_log_z_is_said(tmp_path, monkeypatch):
    np.save(tmp_path / "points.npy", planted(3))
    monkeypatch.setattr(ShallowEBM, "_estimate_log_partition", hopeless)
    result = fit(tmp_path / "points.npy", out=tmp_path / "out")
    assert result.exit_code == 2
    assert "the active model of 320 points is so concentrated" in result.stderr
    assert "weights worth 3.2 samples" in result.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_small_part_that_is_hopeless_is_left_out_of_the_curve(tmp_path, monkeypatch):
    np.save(tmp_path / "points.npy", planted(5, 50))
    real = fitting.fit
    monkeypatch.setattr(
        fitting, "fit", lambda *a: hopeless() if len(a[2]) < 10 and a[0] == "lazy" else real(*a)
    )
    monkeypatch.setattr(fitting, "projections", lambda *_: None)
    result = fit(tmp_path / "points.npy", out=tmp_path / "out", neurons=2)
    assert result.exit_code == 0, result.output
    assert "Left out of the learning curve: the lazy model of 5 points" in result.stderr
    curve = json.loads((tmp_path / "out" / "summary.json").read_text())["learning_curve"]
    assert [(p["n"], p["regime"]) for p in curve][:2] == [(5, "active"), (10, "lazy")]


def test_an_interruption_is_told_by_the_exit_code(tmp_path, monkeypatch):
    np.save(tmp_path / "points.npy", planted(3))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", interrupt)
    result = fit(tmp_path / "points.npy", out=tmp_path / "out")
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_crash_is_a_crash(tmp_path, monkeypatch):
    np.save(tmp_path / "points.npy", planted(3))
    monkeypatch.setattr(fit_command, "_summary", lambda *_: 1 / 0)
    monkeypatch.setattr(fitting, "fit", lambda *_: made([0.0, 1.0]))
    assert fit(tmp_path / "points.npy", out=tmp_path / "out").exit_code == 70


def test_help_teaches():
    text = CliRunner().invoke(main, ["fit", "--help"]).stdout
    for words in ("lat and lon", "active.npz", "130", "lazyactive fit earthquakes.csv"):
        assert words in text
