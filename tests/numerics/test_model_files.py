import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy
from sklearn.utils.validation import check_is_fitted

from lazyactive.numerics import ShallowEBM, load_model, model_files, save_model, sphere


def made(regime="lazy", m=6, d=3, **parameters):
    """A model with the attributes of a fitted one."""
    rng = np.random.default_rng(3)
    model = ShallowEBM(regime=regime, **{"random_state": 7, **parameters})
    model.neurons_ = sphere.uniform(m, d, rng)
    model.weights_ = rng.standard_normal(m)
    model.log_partition_, model.log_partition_se_ = 0.123456789, 1e-3
    model.penalty_, model.n_iter_, model.converged_ = 0.5, np.int64(4), np.True_
    model.optimality_gap_, model.n_features_in_ = 1e-8, d
    return model


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.npz"
    save_model(made(), path)
    return path


def unpacked(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def array_bytes(array, **options):
    buffer = io.BytesIO()
    npy.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def forged(content, change=None, neurons=None, weights=None):
    """The file with other content and a checksum that fits to it."""
    members = unpacked(content)
    data = json.loads(members["model.json"])
    if change:
        change(data)
    for name, array in (("neurons.npy", neurons), ("weights.npy", weights)):
        if array is not None:
            members[name] = array_bytes(array)
    data.pop("sha256", None)
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    for name in ("neurons.npy", "weights.npy"):
        digest.update(npy.read_array(io.BytesIO(members[name])).tobytes())
    members["model.json"] = json.dumps(data | {"sha256": digest.hexdigest()}).encode()
    return packed(members.items())


def refused(path, content, words=""):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be a model saved by lazyactive, but") as error:
        load_model(path)
    message = str(error.value)
    assert str(path) in message
    assert words in message, message
    assert message.endswith("wrote.")


@pytest.mark.parametrize("regime", ["active", "lazy"])
def test_a_fitted_model_scores_the_same_in_a_fresh_process(tmp_path, regime):
    X = sphere.uniform(400, 3, rng=1)
    model = ShallowEBM(regime, n_neurons=8, n_reference=1000, random_state=2).fit(X)
    save_model(model, tmp_path / "model.npz")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import numpy as np; from lazyactive.numerics import load_model\n"
        "model = load_model('model.npz')\n"
        "np.save('scores.npy', model.score_samples(np.load('X.npy')))\n"
        "np.save('samples.npy', model.sample(20, 5))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    here = model.score_samples(X)
    assert np.abs(np.load(tmp_path / "scores.npy") - here).max() <= 1e-12
    assert np.abs(np.load(tmp_path / "samples.npy") - model.sample(20, 5)).max() <= 1e-12
    loaded = load_model(tmp_path / "model.npz")
    assert loaded.get_params() == model.get_params()
    for name in model_files.FITTED:
        assert getattr(loaded, name) == getattr(model, name)
    check_is_fitted(loaded)


def test_the_same_model_gives_the_same_bytes_and_survives_a_second_round(saved):
    content = saved.read_bytes()
    assert content == model_files.to_bytes(made())
    assert content == model_files.to_bytes(load_model(saved))
    assert content != model_files.to_bytes(made(alpha=2))


def test_numpy_opens_the_archive(saved):
    with np.load(saved, allow_pickle=False) as archive:
        assert np.array_equal(archive["neurons"], made().neurons_)
        assert np.array_equal(archive["weights"], made().weights_)


def test_parameters_are_kept_as_what_they_are(tmp_path):
    path = tmp_path / "model"
    given = {
        "alpha": np.int64(2),
        "penalty": 1,
        "scale": np.float32(0.5),
        "n_neurons": np.int32(9),
        "normalize": True,
        "random_state": np.random.default_rng(0),
    }
    save_model(made(**given), path)
    kept = load_model(path).get_params()
    assert kept["random_state"] is None
    assert (kept["alpha"], kept["penalty"], kept["scale"]) == (2, 1.0, 0.5)
    assert (kept["n_neurons"], kept["normalize"]) == (9, True)


def test_an_infinite_gap_stays_infinite(tmp_path):
    model = made()
    model.optimality_gap_ = np.inf
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").optimality_gap_ == np.inf


def test_what_is_no_fitted_model_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="must be fitted before it is saved"):
        save_model(ShallowEBM(), tmp_path / "model")
    with pytest.raises(ValueError, match="fitted ShallowEBM, but it is dict"):
        save_model({}, tmp_path / "model")
    with pytest.raises(ValueError, match="kernel must be a str"):
        save_model(made(kernel=3), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_every_truncation_is_refused(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        refused(saved, content[:length])


def test_a_flipped_bit_is_refused_or_means_nothing(saved):
    content = bytearray(saved.read_bytes())
    X = sphere.uniform(50, 3, rng=4)
    expected = load_model(saved).score_samples(X)
    bits = np.random.default_rng(5).integers(0, 8, len(content))
    harmless = 0
    for i, bit in enumerate(bits):
        content[i] ^= 1 << bit
        saved.write_bytes(content)
        try:
            found = load_model(saved).score_samples(X)
        except ValueError as error:
            assert "must be a model saved by lazyactive" in str(error)  # noqa: PT017
        else:
            harmless += 1
            assert np.array_equal(found, expected)
        content[i] ^= 1 << bit
    # Dates, attributes and versions of a zip, some fifty bytes for each of three members.
    assert harmless < 200


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("name", ["neurons.npy", "weights.npy", "model.json"])
def test_a_pickle_is_refused_and_not_executed(saved, monkeypatch, name):
    monkeypatch.chdir(saved.parent)
    members = unpacked(saved.read_bytes())
    for content in (
        array_bytes(np.array([Bomb()], object), allow_pickle=True),
        pickle.dumps(Bomb()),
    ):
        refused(saved, packed((members | {name: content}).items()))
        refused(saved, content)
    refused(saved, packed([*members.items(), ("more.npy", content)]), "in place of")
    assert not os.path.exists("executed")


def _set(part, name, value):
    def change(data):
        (data[part] if part else data)[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("parameters", "regime", "eager"), "regime must be one of"),
        (_set("parameters", "regime", ["lazy"]), "regime is ['lazy'], which is no str"),
        (_set("parameters", "alpha", True), "alpha is True"),
        (_set("parameters", "alpha", 9), "alpha must be one of"),
        (_set("parameters", "penalty", -1.0), "penalty must be"),
        (_set("parameters", "scale", None), "scale is None"),
        (_set("parameters", "random_state", "os.system"), "random_state is 'os.system'"),
        (_set("parameters", "extra", 1), "must hold exactly"),
        (_set("fitted", "log_partition_", None), "log_partition_ is None"),
        (_set("fitted", "log_partition_", 10**400), "log_partition_ is 1000"),
        (_set("fitted", "log_partition_se_", -0.5), "log_partition_se_ is negative"),
        (_set("fitted", "n_features_in_", 4), "no network in dimension 4"),
        (_set("fitted", "converged_", 1), "converged_ is 1"),
        (_set("", "fitted", []), "must hold exactly"),
        (_set("", "shape", [3, 6]), "checksum"),
        (_set("", "shape", [True]), "shape is no list"),
        (_set("", "lazyactive", 0.1), "no version"),
        (_set("", "format", "other"), "does not say that it is one"),
        (_set("", "format_number", 2), "format 2, and this version of lazyactive reads format 1"),
        (_set("", "note", "hello"), "must hold exactly"),
    ],
)
def test_a_fitting_checksum_does_not_help_wrong_numbers(saved, change, words):
    refused(saved, forged(saved.read_bytes(), change), words)


def test_a_fitting_checksum_does_not_help_wrong_arrays(saved):
    content = saved.read_bytes()
    assert load_model(saved) is not None
    saved.write_bytes(forged(content))
    load_model(saved)
    weights = made().weights_
    for wrong, words in (
        ({"weights": np.where(np.arange(6) == 2, np.nan, weights)}, "not finite"),
        ({"weights": weights[:5]}, "no network"),
        ({"weights": weights[:, None]}, "no network"),
        ({"weights": np.float64(1.0)}, "no network"),
        ({"weights": weights.astype(np.float32)}, "float32 in place of float64"),
        ({"weights": weights.astype(">f8")}, "in place of float64"),
        ({"weights": weights + 1j}, "expected are real numbers"),
        ({"neurons": np.empty((0, 3)), "weights": np.empty(0)}, "no network"),
    ):
        refused(saved, forged(content, **wrong), words)


def test_json_that_is_none_is_refused(saved):
    members = unpacked(saved.read_bytes())
    for text in (
        b"", b"[" * 50_000, b"\xff\xfe", b"null", b"[]", b'"format"', b'{"format": NaN}',
        b'{"format": ' + b"9" * 5000 + b"}",
    ):  # fmt: skip
        refused(saved, packed((members | {"model.json": text}).items()))
    long = members["model.json"] + b" " * 2**16
    refused(saved, packed((members | {"model.json": long}).items()), "more than 65536")
    # Infinity by way of a number that JSON allows.
    text = members["model.json"].replace(b'"lazyactive": "', b'"lazyactive": 1e999, "x": "')
    refused(saved, packed((members | {"model.json": text}).items()))


def test_a_zip_bomb_is_refused_unread(saved):
    members = unpacked(saved.read_bytes())
    refused(saved, packed(members.items(), zipfile.ZIP_DEFLATED), "is compressed")
    bomb = members | {"neurons.npy": bytes(50_000_000)}
    refused(saved, packed(bomb.items(), zipfile.ZIP_DEFLATED), "is compressed")
    # A header that promises more numbers than there are.
    header = io.BytesIO()
    npy.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)}
    )
    bomb = members | {"neurons.npy": header.getvalue() + bytes(80)}
    refused(saved, packed(bomb.items()), "should hold 24000000000000 bytes")


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    with pytest.raises(ValueError, match="no such file"):
        load_model(path)
    with pytest.raises(ValueError, match="no such file"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match="can't be read"):
        load_model(tmp_path / ("x" * 300))
    np.savez(path, neurons=np.eye(3), weights=np.ones(3))
    refused(path, path.read_bytes(), "'neurons.npy', 'weights.npy' in place of")
    np.save(tmp_path / "X.npy", np.eye(3))
    refused(path, (tmp_path / "X.npy").read_bytes(), "no archive")
    refused(path, packed([]), "holds nothing")
    refused(path, b"hello", "no archive")
