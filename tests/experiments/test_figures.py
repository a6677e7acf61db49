import math

import matplotlib
import pytest
from matplotlib.figure import Figure

from lazyactive.experiments import figures
from lazyactive.experiments.statistics import Interval
from lazyactive.numerics._files import write_whole


def draw(folder):
    with figures.style():
        figure = Figure()
        (axes,) = figures.panels(figure, 1)
        intervals = [Interval(1.0, 0.5, 2.0), Interval(0.5, -math.inf, math.inf)]
        figures.points(axes, [300, 30000], intervals, label="y", color=figures.BLUE, marker="o")
        figures.log_axes(axes, [300, 30000], "n")
        figures.legend_below(figure)
        figures.save(figure, folder)
    return figure


def test_figures_leave_the_global_style_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    draw(tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_both_formats_are_written_and_reproducible(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    draw(tmp_path / "a")
    draw(tmp_path / "b")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert set(files) == {"figure.png", "figure.pdf"}
    assert files["figure.png"].startswith(b"\x89PNG")
    assert files["figure.pdf"].startswith(b"%PDF")
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}


def test_ticks_are_at_the_sizes_of_the_grid(tmp_path):
    axes = draw(tmp_path).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["300", r"$3{\cdot}10^4$"]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_error_bars_end_where_the_intervals_do(tmp_path):
    axes = draw(tmp_path).axes[0]
    (segments,) = [c.get_segments() for c in axes.containers[0].lines[2]]
    assert [segment[:, 1].tolist() for segment in segments] == [[0.5, 2.0], [0.5, 0.5]]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"

    def broken(source, target):
        raise OSError("the disk is gone")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        write_whole(path, b"newer")
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]
