import json

import numpy as np
import pytest
from click.testing import CliRunner

from lazyactive.experiments.cli import main
from lazyactive.experiments.dataset import open_results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    ran = CliRunner().invoke(main, ["verify", "spectrum-decay", "--out", str(out), "--jobs", "1"])
    assert ran.exit_code == 0, ran.output
    return out / "spectrum-decay"


def test_every_cell_is_under_its_labels(folder):
    results = open_results(folder)
    summary = json.loads((folder / "summary.json").read_text())
    assert results.attrs["claim"] == "spectrum-decay"
    assert results.attrs["verdict"] == "holds"
    assert len(summary["conditions"]) > 1
    for entry in summary["conditions"]:
        at = results.sel(entry["condition"])
        for name, interval in entry["measured"].items():
            assert float(at[name].mean("repetition")) == pytest.approx(interval["value"], rel=1e-12)
        for name, value in entry["predicted"].items():
            assert float(at[f"{name}_predicted"]) == value


def test_what_was_not_measured_is_missing(folder, tmp_path):
    lines = (folder / "results.csv").read_text().splitlines(keepends=True)
    (tmp_path / "results.csv").write_text("".join(lines[:-1]))
    (tmp_path / "summary.json").write_text((folder / "summary.json").read_text())
    part, whole = open_results(tmp_path), open_results(folder)
    name = next(
        iter(json.loads((folder / "summary.json").read_text())["conditions"][0]["measured"])
    )
    assert np.isfinite(part[name]).sum() == np.isfinite(whole[name]).sum() - 1


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must hold summary"):
        open_results(tmp_path)
