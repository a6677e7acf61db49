import io
import os
import zipfile

import numpy as np
import pytest

from lazyactive.experiments.data_files import read_points
from lazyactive.numerics import sphere


def csv(tmp_path, text):
    path = tmp_path / "points.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def points():
    return sphere.uniform(20, 3, rng=0)


def test_npy_stays_in_its_file(tmp_path, points):
    path = tmp_path / "points.npy"
    for array in (points, np.asfortranarray(points)):
        np.save(path, array)
        X = read_points(path)
        assert isinstance(X, np.memmap)
        assert X.mode == "r"
        assert np.array_equal(X, points)
    np.save(path, points.astype(np.float32))
    assert read_points(path).dtype == np.float32
    np.save(path, points.astype(">f8"))
    assert np.array_equal(read_points(path), points)
    np.save(path, np.eye(3, dtype=np.int8))
    assert np.array_equal(read_points(path), np.eye(3))
    assert read_points(path).dtype == np.float64


def test_npz_has_one_array_or_one_named_x(tmp_path, points):
    path = tmp_path / "points.npz"
    np.savez(path, anything=points)
    assert np.array_equal(read_points(path), points)
    np.savez_compressed(path, X=points, y=np.arange(20))
    assert np.array_equal(read_points(path), points)
    np.savez(path, a=points, b=points)
    with pytest.raises(ValueError, match="the arrays in it are: 'a', 'b'"):
        read_points(path)
    np.savez(path)
    with pytest.raises(ValueError, match="are: none"):
        read_points(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", "   ", ", "])
@pytest.mark.parametrize("header", ["", "x{0}y{0}z\n", '"a b"{0}"c"{0}"d"\n'])
def test_csv_with_any_delimiter(tmp_path, points, delimiter, header):
    body = "".join(delimiter.join(map(repr, row)) + "\n" for row in points.tolist())
    path = csv(tmp_path, header.format(delimiter) + body)
    assert np.array_equal(read_points(path), points)
    assert np.array_equal(read_points(csv(tmp_path, body.rstrip("\n"))), points)


def test_csv_of_windows_with_comments_and_empty_lines(tmp_path):
    text = "\ufeff# of an experiment\r\nx, y\r\n\r\n0.6, 0.8\r\n  \r\n-1 ,+0e0\r\n"
    assert read_points(csv(tmp_path, text)).tolist() == [[0.6, 0.8], [-1, 0]]


def test_numbered_columns_are_a_header(tmp_path):
    assert read_points(csv(tmp_path, "0,1,2\n0,0,1\n")).tolist() == [[0, 0, 1]]
    assert read_points(csv(tmp_path, "0,1\n1,0\n")).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("names", ["lat,lon", "Latitude,LONGITUDE", "latitude,lng"])
def test_degrees_become_unit_vectors(tmp_path, names):
    places = "0,0\n90,17\n-90,0\n0,90\n0,-90\n0,270\n0,180\n45,45\n"
    X = read_points(csv(tmp_path, f"{names}\n{places}"))
    half = np.sqrt(0.5)
    expected = [
        [1, 0, 0], [0, 0, 1], [0, 0, -1], [0, 1, 0], [0, -1, 0], [0, -1, 0], [-1, 0, 0],
        [0.5, 0.5, half],
    ]  # fmt: skip
    assert np.abs(X - expected).max() < 1e-15


def test_columns_beside_degrees_are_left_out(tmp_path):
    text = 'time,lon,depth,lat,place\n2011-03-11,142.4,,38.3,"Sendai, Japan"\n'
    (x,) = read_points(csv(tmp_path, text))
    assert np.degrees(np.arcsin(x[2])) == pytest.approx(38.3)
    assert np.degrees(np.arctan2(x[1], x[0])) == pytest.approx(142.4)


def test_points_are_normalized_on_request(tmp_path, points):
    scales = np.logspace(-300, 300, 20)[:, None]
    path = tmp_path / "points.npy"
    np.save(path, points * scales)
    assert np.abs(read_points(path, normalize=True) - points).max() < 1e-14
    with pytest.raises(ValueError, match=r"row 0 .* has norm 1e-300; with --normalize"):
        read_points(path)
    assert np.array_equal(read_points(csv(tmp_path, "3,4\n0,-7\n"), True), [[0.6, 0.8], [0, -1]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n# nothing\n", "no line with numbers"),
        ("x,y\n", "only a header"),
        ("x\n1\n", "at least two columns"),
        ("1,0\n0,1,0\n", "line 2 has 3 and the first has 2"),
        ("1,0\n\n0\n", "line 3 has 1"),
        ("x,y\n1,0\n0,north\n", "line 3, column 2 ('y'), but has 'north'"),
        ("1,0\n,1\n", "line 2, column 1, but has nothing"),
        ("x,y\n1,0\nnan,0\n", "finite number in line 3, column 1 ('x'), but has 'nan'"),
        ("1,0\n0,1e999\n", "finite number in line 2, column 2, but has '1e999'"),
        ("1,0\n0," + "9" * 5000 + "\n", "finite number in line 2"),
        ("1,0\n0,1_0\n", "but has '1_0'"),
        ("1;0\n0,6;0,8\n", "write decimal points"),
        ("a,0.6,0.8\n", "mixes text ('a') and numbers ('0.6')"),
        (",x,y\n0,1,0\n", "column 1 has none; if it is an index"),
        ("x,x\n1,0\n", "two columns named 'x'"),
        ("lat,x\n1,0\n", "one of longitudes, but has 1 and 0"),
        ("lat,lon,lng\n1,0,0\n", "but has 1 and 2"),
        ("lat,lon\n91,0\n", "latitude between -90 and 90 degrees, but it is 91 in line 2"),
        (
            "lat,lon\n0,0\n0,361\n",
            "longitude between -180 and 360 degrees, but it is 361 in line 3",
        ),
        ("0.6,0.8\n1,1\n", "line 2 has norm 1.41421; with --normalize"),
        ("1,0\n" + "x" * 200_000 + ",1\n", "can't be read as a table"),
        (b"x,y\n\xe9,1\n", "UTF-8"),
        ("x,y\n1,0\n".encode("utf-16"), "UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "UTF-8"),
    ],
)
def test_bad_csv_is_refused_with_line_and_column(tmp_path, text, words):
    path = csv(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_points(path)
    message = str(error.value)
    assert words in message, message
    assert repr(str(path)) in message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))


def test_a_zero_point_has_no_direction(tmp_path):
    with pytest.raises(ValueError, match="line 2 is zero"):
        read_points(csv(tmp_path, "1,0\n0,0\n"), normalize=True)


def save(path, array, **options):
    np.save(path, array, **options)
    return path.read_bytes()


def test_bad_arrays_are_refused(tmp_path, points):
    path = tmp_path / "points.npy"
    bad = points.copy()
    bad[4, 1] = np.nan
    content = save(path, points)
    header = np.lib.format.header_data_from_array_1_0(points)
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(huge, header | {"shape": (2**62, 3)})
    for wrong, words in (
        (b"", "is empty"),
        (b"hello", "no readable header"),
        (content[:5], "no readable header"),
        (content[:100], "no readable header"),
        (content[:-1], "is cut short at 479"),
        (huge.getvalue() + bytes(100), "cut short"),
        (save(path, bad), "row 4 (the first is row 0) has nan"),
        (save(path, points[0]), "its shape is (3,)"),
        (save(path, points[:0]), "its shape is (0, 3)"),
        (save(path, points[:, :1]), "its shape is (20, 1)"),
        (save(path, points + 1j), "expected are real numbers"),
        (save(path, points.astype(str)), "expected are real numbers"),
        (save(path, points.astype(object), allow_pickle=True), "Python objects"),
        (save(path, np.zeros(3, "f8,f8")), "expected are real numbers"),
        (save(path, 2 * points), "has norm 2; with --normalize"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ValueError) as error:
            read_points(path)
        assert words in str(error.value), str(error.value)


def test_bad_archives_are_refused(tmp_path, points):
    path = tmp_path / "points.npz"
    np.savez_compressed(path, X=points)
    content = path.read_bytes()
    np.savez(path, X=points.astype(object))
    pickled = path.read_bytes()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("X.npy", bytes(1000))
    unusual = path.read_bytes()
    for wrong, words in (
        (b"hello", "must be a NumPy archive"),
        (content[:-30], "must be a NumPy archive"),
        (pickled, "Python objects"),
        (unusual, "numpy.savez_compressed"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ValueError) as error:
            read_points(path)
        assert words in str(error.value), str(error.value)


def test_what_is_no_such_file_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, words in (
        ("missing.csv", "can't be read (No such file"),
        ("folder.csv", "is a folder"),
        # Opening a pipe that nobody writes to would wait for ever.
        ("pipe.csv", "no regular file"),
        ("points.txt", "must end in .npy, .npz or .csv"),
        ("x" * 300 + ".csv", "can't be read (File name too long"),
    ):
        with pytest.raises(ValueError) as error:
            read_points(tmp_path / name)
        assert words in str(error.value)


def test_any_kind_of_nan_is_refused_without_a_warning(tmp_path):
    path = tmp_path / "points.npy"
    for dtype, bits in (("<f4", 0x7FA00000), ("<f8", 0x7FF4000000000000), ("<f2", 0x7D00)):
        points = np.zeros((3, 2), dtype)
        points[:, 0] = 1
        # A signalling NaN, which warns when it is converted.
        points[1].view(dtype.replace("f", "u"))[1] = bits
        np.save(path, points)
        with pytest.raises(ValueError, match=r"row 1 .* has nan"):
            read_points(path)
