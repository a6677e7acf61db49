import io
import json
import stat

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from PIL import Image, ImageSequence

from lazyactive.experiments import movie, movie_files, movie_scene, sphere_view
from lazyactive.experiments.claim import Claim
from lazyactive.experiments.cli import main
from lazyactive.experiments.film import Film, FilmedClaim, Frame, check_film
from lazyactive.numerics import sphere
from lazyactive.theory.gibbs import PlantedGibbs

# Small pictures are drawn fast.
DPI, SIZE, STILL = 48, (480, 180), (600, 225)


def make_film(n_frames, rng, **changed):
    """Neurons that wander to a teacher, while their weights grow."""
    directions = sphere.normalize(np.array([[1.0, 0.2, 0.3], [-0.5, 0.9, 0.1]]))
    start = sphere.uniform(6, 3, rng)
    frames = []
    for s in np.linspace(0, 1, n_frames):
        neurons = sphere.normalize((1 - s) * start + s * np.tile(directions, (3, 1)))
        walkers = sphere.uniform(50, 3, rng)
        weights = s * np.array([-10.0, -14.0, -10.0, -14.0, -10.0, 3.0])
        frames.append(Frame(10 * s, neurons, weights, walkers, 2 * 10 ** (-2 * s), 11 * s))
    parts = {
        "title": "A made-up film",
        "data": sphere.uniform(20, 3, rng),
        "directions": directions,
        "teacher_weights": np.array([-10.0, -14.0]),
        "alpha": 1,
        "frames": tuple(frames),
    }
    return Film(**parts | changed)


class Filmed(FilmedClaim):
    def film(self, n_frames, rng, progress):
        film = make_film(n_frames, rng)
        for _ in film.frames:
            progress(1)
        return film


@pytest.fixture(autouse=True)
def _small_and_without_ffmpeg(monkeypatch):
    monkeypatch.setattr(movie_files, "ffmpeg", lambda: None)
    monkeypatch.setattr(movie, "DPI", DPI)
    monkeypatch.setattr(movie, "STILL_DPI", 60)


def program(tmp_path, monkeypatch, script):
    """Put a program in the place of ffmpeg."""
    path = tmp_path / "encoder"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(movie_files, "ffmpeg", lambda: str(path))


def shoot(out, *arguments, name="fake", frames=3, stills=0):
    command = ["movie", name, "--out", out, "--frames", frames, "--stills", stills, *arguments]
    return CliRunner().invoke(main, [str(a) for a in command])


def not_drawn(film, *_):
    """What stands for pictures where only the command is tested."""
    return {"movie.gif": film.data.tobytes()}


def files(folder):
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


# The view


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_view_is_a_rotation_with_the_mean_direction_up(n):
    directions = sphere.uniform(n, 3, n)
    view = sphere_view.best_view(directions)
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view) == pytest.approx(1)
    x, y, _ = view @ directions.mean(axis=0)
    assert abs(x) < 1e-12
    assert y > 0


def test_no_direction_points_at_the_viewer_or_away():
    (seen,) = sphere_view.project(np.eye(3)[:1], sphere_view.best_view(np.eye(3)[:1]))
    # 4000 candidates are some 0.06 apart.
    assert seen[2] == pytest.approx(0.5, abs=0.06)
    for seed in range(10):
        directions = sphere.uniform(2, 3, seed)
        depth = sphere_view.project(directions, sphere_view.best_view(directions))[:, 2]
        # At worst the two are opposite, and lie on the limb.
        assert np.all((depth > -0.06) & (depth < 0.7))


def test_directions_that_cancel_have_a_view():
    directions = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    seen = sphere_view.project(directions, sphere_view.best_view(directions))
    np.testing.assert_allclose(seen[:, 1], 0, atol=1e-12)
    assert seen[0, 0] > 0.9


def test_pixels_and_points_belong_together():
    view = sphere_view.best_view(sphere.uniform(3, 3, 0))
    inside, points = sphere_view.disc_points(41, view)
    seen = sphere_view.project(points, view)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    assert np.all(seen[:, 2] >= -1e-12)
    row, column = np.nonzero(inside)
    x, y = (sphere_view.MARGIN * ((2 * i + 1) / 41 - 1) for i in (column, row))
    on_disc = np.hypot(x, y) < 1
    np.testing.assert_allclose(seen[on_disc, 0], x[on_disc], atol=1e-12)
    np.testing.assert_allclose(seen[on_disc, 1], y[on_disc], atol=1e-12)
    assert inside.sum() / 41**2 == pytest.approx(np.pi / 4, rel=0.02)


def test_what_the_ball_hides():
    direction = sphere.uniform(500, 3, 1)
    points = np.linspace(1.0, 1.5, 500)[:, None] * direction
    # Walk from the point to the viewer: does the way enter the ball?
    steps = np.linspace(0, 3, 3001)[1:]
    way = points[:, None] + steps[None, :, None] * np.array([0.0, 0.0, 1.0])
    closest = np.linalg.norm(way, axis=2).min(axis=1)
    seen = sphere_view.visible(points)
    np.testing.assert_array_equal(seen, closest >= 1 - 1e-6)
    behind = points[:, 2] < 0
    assert np.any(seen & behind)
    assert np.any(~seen & behind)


def test_arrows_stand_on_the_sphere_and_are_foreshortened():
    base = np.array([[0.6, 0.0, 0.8], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    outlines = sphere_view.arrows(base, np.array([0.5, 0.5, 0.5]))
    np.testing.assert_allclose(outlines[:, 3], 1.5 * base[:, :2])
    np.testing.assert_allclose(outlines[:, [0, 6]].mean(axis=1), base[:, :2], atol=1e-12)
    # One that points at the viewer is a point.
    np.testing.assert_allclose(outlines[2], 0, atol=1e-12)


def test_the_net_is_in_front():
    lines = sphere_view.graticule()
    assert len(lines) > 10
    assert max(np.linalg.norm(line, axis=1).max() for line in lines) <= 1 + 1e-12


# Densities and colours


@pytest.mark.parametrize(("n", "weights"), [(1, [-4.0]), (4, [-20.0, -16.0, -22.0, 14.0])])
def test_the_density_has_the_exact_partition_function(n, weights):
    directions = sphere.uniform(n, 3, n)
    X = sphere.uniform(7, 3, 0)
    found = sphere_view.log_density(X, directions, np.array(weights), 1)
    energy = np.maximum(X @ directions.T, 0) @ weights / n
    exact = -energy - PlantedGibbs(directions, weights).log_partition()
    # The order of the error that kinks leave.
    np.testing.assert_allclose(found, exact, rtol=0, atol=sphere_view.N_PARALLELS**-2)
    nodes, masses = sphere_view.sphere_rule(50)
    total = masses @ np.exp(sphere_view.log_density(nodes, directions, np.array(weights), 1))
    assert total == pytest.approx(1, abs=50**-2)


def test_the_rule_is_exact_for_polynomials():
    nodes, masses = sphere_view.sphere_rule(4)
    x, y, z = nodes.T
    moments = [masses @ f for f in (x**0, x * y * z**2, x**2, z**4, x**2 * z**2, y**6, x**2 * y**4)]
    # Under tau on the sphere of R^3.
    np.testing.assert_allclose(
        moments, [1, 0, 1 / 3, 1 / 5, 1 / 15, 1 / 7, 1 / 35], rtol=0, atol=1e-14
    )


def test_equal_steps_of_density_are_equal_steps_of_lightness():
    rgb = movie_scene.colormap().colors
    assert rgb.min() > 0
    assert rgb.max() < 1
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    # CIE's lightness is another one than Oklab's.
    assert steps.min() / steps.mean() > 0.75
    assert steps.max() / steps.mean() < 1.25


def test_both_discs_have_the_same_colours():
    film = make_film(3, np.random.default_rng(0))
    scene = movie_scene.Scene(film)
    truth = Frame(0.0, film.directions, film.teacher_weights, film.data, 1.0, 1.0)
    np.testing.assert_array_equal(scene.true_picture(30), scene.picture(30, truth))
    uniform = scene.picture(30, film.frames[0])[15, 15] / 255
    np.testing.assert_allclose(uniform, scene.colors(scene.norm(1.0)), atol=0.01)


def test_arrows_of_the_far_side_show_beyond_the_limb_only():
    view = sphere_view.best_view(np.eye(3)[:1])
    neuron = np.array([0.95, 0.0, -np.sqrt(1 - 0.95**2)]) @ view
    # Two neurons at one place whose weights cancel: arrows, and no energy.
    frames = [
        Frame(t, np.array([neuron, neuron]), np.array([c, -c]), np.eye(3), 1.0, c)
        for t, c in ((0.0, 0.0), (1.0, 5.0))
    ]
    film = make_film(
        2, np.random.default_rng(0), directions=np.eye(3)[:1], teacher_weights=np.array([-5.0]),
        frames=tuple(frames),
    )  # fmt: skip
    canvas = movie.Canvas(movie_scene.Scene(film), 120)
    size = 1200, 450
    without, with_arrows = (canvas.image(i).astype(int) for i in (0, 1))
    changed = np.abs(with_arrows - without).max(axis=2) > 8
    side = movie.DISC * 120
    centre = movie.LEFTS[1] * size[0] + side / 2, size[1] * (1 - movie.BOTTOM) - side / 2
    row, column = np.nonzero(changed)
    radius = movie_scene.EXTENT * np.hypot(column + 0.5 - centre[0], row + 0.5 - centre[1])
    radius /= side / 2
    on_disc = (radius < movie_scene.EXTENT) & (np.abs(row - centre[1]) < 40)
    assert on_disc.sum() > 50
    # The limb is a line of some width.
    assert radius[on_disc].min() > 0.98


def test_trails_lead_from_the_start_to_the_neurons():
    film = make_film(4, np.random.default_rng(0))
    scene = movie_scene.Scene(film)
    trails = scene.trails(2)
    for index, frame in ((0, film.frames[0]), (-1, film.frames[2])):
        np.testing.assert_allclose(trails[index], sphere_view.project(frame.neurons, scene.view))
    np.testing.assert_allclose(np.linalg.norm(trails, axis=2), 1)
    chords = np.linalg.norm(np.diff(trails, axis=0), axis=2)
    assert chords.max() <= movie_scene.TURN


def test_neurons_that_come_and_go_have_no_trails():
    film = make_film(3, np.random.default_rng(0))
    first = film.frames[0]
    fewer = Frame(**vars(first) | {"neurons": first.neurons[:2], "weights": np.zeros(2)})
    film = Film(**vars(film) | {"frames": (fewer, *film.frames[1:])})
    scene = movie_scene.Scene(check_film(film))
    assert scene.trails(1).shape == (0, 6, 3)
    assert scene.largest_weight == 14
    assert movie.Canvas(scene, DPI).image(1).shape == (SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.03, 4.0, ["0.05", "0.1", "0.2", "0.5", "1", "2"]),
        (0.005, 12.0, ["0.01", "0.1", "1", "10"]),
        (4e-5, 1e-4, [r"$5{\cdot}10^{-5}$", "$10^{-4}$"]),
    ],
)
def test_labels_of_a_logarithmic_axis_are_round(low, high, words):
    axes = Figure().add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    movie_scene.label_powers(axes.xaxis, low, high)
    ticks = [tick for tick in axes.xaxis.get_major_locator()() if low <= tick <= high * 1.0001]
    assert axes.xaxis.get_major_formatter().format_ticks(ticks) == words


def test_moments_divide_the_fall_of_the_divergence():
    def film(kl):
        return Film("", np.eye(3), np.eye(3), np.ones(3), 1, tuple(
            Frame(float(t), np.eye(3), np.ones(3), np.eye(3), x, 1.0) for t, x in enumerate(kl)
        ))  # fmt: skip

    falling = film([1.0, 1.0, 1.0, 0.09, 0.08, 0.0099, 0.02, 0.001, 0.001])
    assert movie.moments(falling, 4) == [0, 3, 5, 8]
    assert movie.moments(film([1.0] * 9), 3) == [0, 4, 8]
    assert movie.moments(film([1.0, 0.5]), 4) == [0, 1]
    assert movie.moments(falling, 1) == [8]
    assert movie.moments(falling, 0) == []


def test_the_palette_serves_density_and_arrows():
    scale = movie_scene.colormap()(np.linspace(0, 1, movie_files.SCALE_COLORS), bytes=True)[:, :3]
    picture = np.full((20, 112, 3), 255, np.uint8)
    picture[:10] = scale
    picture[15, :3] = 213, 94, 0
    palette = movie_files.shared_palette([picture], scale)
    entries = np.reshape(palette.getpalette(), (-1, 3))
    np.testing.assert_array_equal(entries[: len(scale)], scale)
    assert len(entries) <= movie_files.N_COLORS
    shown = np.asarray(movie_files.indexed(picture, palette).convert("RGB")).astype(int)
    # Pillow looks the nearest entry up in a coarse table.
    assert np.abs(shown - picture).max() < 8


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"frames": ()}, "frames"),
        ({"alpha": 7}, "alpha"),
        ({"data": np.ones((4, 3))}, "data"),
        ({"directions": np.eye(4)[:2]}, "directions"),
        ({"teacher_weights": np.ones(3)}, "teacher_weights"),
        ({"frame": {"neurons": np.eye(3)[:2]}}, "weights of frame 1"),
        ({"frame": {"walkers": np.full((2, 3), np.nan)}}, "walkers of frame 1"),
        ({"frame": {"kl": np.nan}}, "kl of frame 1"),
        ({"frame": {"time": 0.0}}, "time must increase"),
    ],
)
def test_a_film_that_cannot_be_drawn_is_refused(changed, word):
    film = make_film(3, np.random.default_rng(0))
    if "frame" in changed:
        frames = list(film.frames)
        frames[1] = Frame(**vars(frames[1]) | changed["frame"])
        changed = {"frames": tuple(frames)}
    assert check_film(film) is film
    with pytest.raises(ValueError, match=word):
        check_film(Film(**vars(film) | changed))


# The command


def test_a_film_leaves_pictures_and_their_origin(fake, tmp_path):
    fake(base=Filmed)
    result = shoot(tmp_path, "--seed", 3, "--fps", 10, stills=2)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "fake"
    pictures = {"movie.gif", "still-01.png", "still-02.png", "stills.png", "stills.pdf"}
    assert files(folder) == pictures | {"movie.json"}
    with Image.open(folder / "movie.gif") as gif:
        assert gif.size == SIZE
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
    assert durations == [100, 100, 2100]
    with Image.open(folder / "still-02.png") as still:
        assert still.size == STILL
    assert (folder / "stills.pdf").read_bytes().startswith(b"%PDF")
    summary = json.loads((folder / "movie.json").read_text())
    assert summary["claim"] == "fake"
    assert summary["source"] == "nobody2026, section 0"
    assert summary["seed"] == 3
    assert summary["frames"] == 3
    assert set(summary["files"]) == pictures
    assert summary["stills"] == [0, 2]
    assert summary["time"] == [0, 5, 10]
    assert summary["kl"] == pytest.approx([2, 0.2, 0.02])
    assert set(summary["versions"]) >= {"lazyactive", "python", "numpy", "matplotlib", "pillow"}
    assert len(summary["source_digest"]) == 64
    assert "KL 2 -> 0.02" in result.stdout
    assert summary["neurons"] == 6
    assert summary["walkers"] == 50
    assert "3/3" in result.stderr
    # Frames, stills, and the strip.
    assert "6/6" in result.stderr
    assert "3/3" not in result.stdout


def test_the_seed_makes_the_film_and_a_new_film_leaves_nothing_of_the_old(
    fake, tmp_path, monkeypatch
):
    fake(base=Filmed)
    monkeypatch.setattr(movie, "shoot", not_drawn)
    folder = tmp_path / "fake"
    shoot(tmp_path)
    first = (folder / "movie.gif").read_bytes()
    (folder / "still-09.png").write_text("of an older film")
    (folder / "movie.mp4").write_text("of an older film")
    (folder / "figure.png").write_text("of verify")
    shoot(tmp_path)
    assert (folder / "movie.gif").read_bytes() == first
    assert files(folder) == {"movie.gif", "movie.json", "figure.png"}
    shoot(tmp_path, "--seed", 1)
    assert (folder / "movie.gif").read_bytes() != first


def crash(self, n_frames, rng, progress):
    progress(1)
    raise ArithmeticError("no such film")


def interrupt(self, n_frames, rng, progress):
    raise KeyboardInterrupt


def cut_short(self, n_frames, rng, progress):
    return make_film(n_frames - 1, rng)


@pytest.mark.parametrize(
    ("film", "code", "words"),
    [
        (crash, 70, ""),
        (interrupt, 130, "Interrupted. Nothing was written."),
        (cut_short, 70, ""),
    ],
)
def test_a_film_that_fails_writes_nothing(fake, tmp_path, monkeypatch, film, code, words):
    fake(base=Filmed)
    monkeypatch.setattr(Filmed, "film", film)
    result = shoot(tmp_path)
    assert result.exit_code == code
    assert words in result.stderr
    assert not files(tmp_path / "fake")


def test_a_drawing_that_fails_leaves_the_earlier_film(fake, tmp_path, monkeypatch):
    fake(base=Filmed)
    folder = tmp_path / "fake"
    with monkeypatch.context() as patch:
        patch.setattr(movie, "shoot", not_drawn)
        shoot(tmp_path)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    program(tmp_path, monkeypatch, "echo 'no such codec' >&2; exit 8")
    result = shoot(tmp_path, "--seed", 1)
    assert result.exit_code == 70
    assert before
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_ffmpeg_says_is_in_the_error(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "echo 'no such codec' >&2; exit 8")
    with (
        movie_files.MP4(movie_files.ffmpeg(), SIZE, 20) as mp4,
        pytest.raises(RuntimeError, match="code 8: no such codec"),
    ):
        # More than a pipe holds.
        mp4.add(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))


def test_the_same_film_gives_the_same_files():
    film = make_film(2, np.random.default_rng(0))
    first, second = (movie.shoot(film, 20, 0, None, True) for _ in range(2))
    assert first == second


def test_every_frame_is_sent_to_ffmpeg(fake, tmp_path, monkeypatch):
    fake(base=Filmed)
    # The last argument is the file to be written.
    program(tmp_path, monkeypatch, 'for last; do :; done; cat > "$last"')
    assert shoot(tmp_path, "--format", "mp4").exit_code == 0
    assert files(tmp_path / "fake") == {"movie.mp4", "movie.json"}
    frames = np.frombuffer((tmp_path / "fake" / "movie.mp4").read_bytes(), np.uint8)
    frames = frames.reshape(3, SIZE[1], SIZE[0], 3)
    assert np.all(frames[:, 0, 0] == 255)
    assert np.any(frames[0] != frames[2])


@pytest.mark.parametrize("kind", ["mp4", "both"])
def test_mp4_without_ffmpeg_is_bad_usage(fake, tmp_path, kind):
    fake(base=Filmed)
    result = shoot(tmp_path, "--format", kind)
    assert result.exit_code == 2
    assert "ffmpeg" in result.stderr
    assert not files(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "avi"], ["--format", "'avi'", "gif"]),
        (["--frames", "1"], ["--frames", "2<=x"]),
        (["--fps", "0"], ["--fps", "1<=x"]),
        (["--stills", "-1"], ["--stills", "0<=x"]),
    ],
)
def test_bad_options_are_named(arguments, words):
    result = shoot("out", *arguments)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr


def test_a_claim_without_a_film_is_told_which_have_one(fake, tmp_path):
    fake(base=Filmed, name="filmed")
    fake(base=Claim, name="still")
    result = shoot(tmp_path, name="still")
    assert result.exit_code == 2
    assert "can be filmed" in result.stderr
    assert "filmed" in result.stderr.replace("can be filmed", "")
    assert "'still'" in result.stderr
    result = shoot(tmp_path, name="filmd")
    assert result.exit_code == 2
    assert not files(tmp_path)


def test_a_folder_that_cannot_be_written_is_bad_usage(fake, tmp_path):
    fake(base=Filmed)
    (tmp_path / "file").write_text("")
    result = shoot(tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_pictures_carry_their_resolution():
    with Image.open(io.BytesIO(movie_files.png(np.zeros((4, 6, 3), np.uint8), 300))) as picture:
        assert picture.size == (6, 4)
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)
