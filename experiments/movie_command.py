"""The command ``lazyactive movie``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _console

if TYPE_CHECKING:
    from .film import Film, FilmedClaim


@click.command(context_settings={"show_default": True})
@click.argument("claim")
@click.option(
    "--out", type=_console.FOLDER, default=Path("results"), help="Pictures go to OUT/CLAIM/."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="Of data, training and walkers."
)
@click.option("--frames", type=click.IntRange(2, 1000), default=200, help="Moments of training.")
@click.option("--fps", type=click.IntRange(1, 50), default=20, help="Frames per second.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["gif", "mp4", "both"]),
    show_default="both where ffmpeg is found, else gif",
    help="Kind of moving picture; mp4 is sharper, and needs ffmpeg.",
)
@click.option(
    "--stills",
    type=click.IntRange(0, 24),
    default=4,
    help="Moments to show as pictures for a paper; 0 for none.",
)
def movie(
    claim: str, out: Path, seed: int, frames: int, fps: int, kind: str | None, stills: int
) -> None:
    """Train the model of CLAIM on the sphere of R^3, and film it.

    On the left the true density with the data, in the middle the model's with its walkers, in the
    same colours. Arrows are neurons: blue ones attract, vermilion ones repel, and the longer an
    arrow, the larger its weight; arrows on the far side show beyond the limb only. Lines are the
    ways of neurons so far. The teacher's neurons are hollow. Teacher and model have each its own
    scale of lengths. On the right the KL divergence and the F1 norm.

    Writes movie.gif, movie.mp4, single moments as still-01.png and so on, the same moments side by
    side as stills.png and stills.pdf, and movie.json with the numbers behind the curves. Nothing
    is written before all is drawn. The moments are chosen so that the KL falls by equal factors
    between them.

    \b
    Examples:
      lazyactive movie CLAIM
      lazyactive movie CLAIM --frames 60 --format gif --stills 0
      lazyactive movie CLAIM --seed 1 --stills 9 --out figures
    """  # noqa: D301
    chosen = _filmed(claim)
    encoder = _encoder(kind)
    folder = out / chosen.name
    try:
        _console.require_writable(folder)
    except OSError as error:
        raise _console.bad_folder(out, error) from error
    from .cli import INTERRUPTED

    try:
        film = _train(chosen, frames, seed)
        files = _draw(film, fps, stills, encoder, kind != "mp4")
    except KeyboardInterrupt:
        click.echo("Interrupted. Nothing was written.", err=True)
        sys.exit(INTERRUPTED)
    _write(folder, files, _summary(chosen, film, seed, fps, files))
    click.echo(f"{film.title}: KL {film.frames[0].kl:.4g} -> {film.frames[-1].kl:.4g} nats")
    click.echo(f"written to {click.format_filename(folder)}: {', '.join(files)}, movie.json")


def _filmed(name: str) -> "FilmedClaim":
    """The claim of that name, if it can be filmed."""
    from . import claim as registry
    from .film import FilmedClaim

    try:
        chosen = registry.get(name)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="CLAIM") from error
    if not isinstance(chosen, FilmedClaim):
        known = [c.name for c in registry.load().values() if isinstance(c, FilmedClaim)]
        raise click.BadParameter(
            f"claim must be one that can be filmed ({', '.join(known) or 'none is yet'}); "
            f"got {name!r}.",
            param_hint="CLAIM",
        )
    return chosen


def _encoder(kind: str | None) -> str | None:
    """Path of ffmpeg, or None where no MP4 is made."""
    from .movie_files import ffmpeg

    found = ffmpeg()
    if kind in ("mp4", "both") and found is None:
        raise click.BadParameter(
            f"{kind} needs the program ffmpeg, which was not found; install it or take gif.",
            param_hint="--format",
        )
    return None if kind == "gif" else found


def _train(claim: "FilmedClaim", n_frames: int, seed: int) -> "Film":
    import numpy as np
    from threadpoolctl import threadpool_limits

    from .film import check_film

    _console.announce_compilation()
    # The order of BLAS's sums, hence the last bits, would depend on the number of threads.
    with _bar(n_frames, "training") as bar, threadpool_limits(limits=1, user_api="blas"):
        film = check_film(claim.film(n_frames, np.random.default_rng(seed), bar.update))
    if len(film.frames) != n_frames:
        raise ValueError(
            f"the film must have {n_frames} frames, as was asked for, but has {len(film.frames)}."
        )
    return film


def _draw(
    film: "Film", fps: int, stills: int, encoder: str | None, with_gif: bool
) -> dict[str, bytes]:
    from . import movie as pictures

    n_stills = len(pictures.moments(film, stills))
    # Beside the single moments there is the strip of all.
    n_pictures = len(film.frames) + n_stills + (n_stills > 0)
    with _bar(n_pictures, "drawing") as bar:
        return pictures.shoot(film, fps, stills, encoder, with_gif, bar.update)


def _bar(n_frames: int, what: str) -> Any:
    from tqdm import tqdm

    return tqdm(total=n_frames, desc=what, unit="frame", file=sys.stderr)


def _summary(
    claim: "FilmedClaim", film: "Film", seed: int, fps: int, files: dict[str, bytes]
) -> dict[str, Any]:
    """Where the pictures come from, and the numbers behind the curves."""
    from . import movie as pictures
    from .store import source_digest, versions

    stills = [name for name in files if name.startswith("still-")]
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "title": film.title,
        "seed": seed,
        "frames": len(film.frames),
        "fps": fps,
        "files": list(files),
        "stills": pictures.moments(film, len(stills)),
        "alpha": film.alpha,
        "data": len(film.data),
        "neurons": max(len(frame.neurons) for frame in film.frames),
        "walkers": max(len(frame.walkers) for frame in film.frames),
        "directions": film.directions.tolist(),
        "teacher_weights": film.teacher_weights.tolist(),
        "time": [float(frame.time) for frame in film.frames],
        "kl": [float(frame.kl) for frame in film.frames],
        "variation": [float(frame.variation) for frame in film.frames],
        "versions": versions() | pictures.versions(),
        "source_digest": source_digest(claim),
    }


def _write(folder: Path, files: dict[str, bytes], summary: dict[str, Any]) -> None:
    """Write every file whole, and leave none of an earlier film that would pass for this one's."""
    from ..numerics._files import write_whole
    from .report import to_json

    text = f"{to_json(summary)}\n".encode()
    for name, content in files.items():
        write_whole(folder / name, content)
    write_whole(folder / "movie.json", text)
    for pattern in ("movie.gif", "movie.mp4", "still-*.png", "stills.png", "stills.pdf"):
        for path in folder.glob(pattern):
            if path.name not in files:
                path.unlink()
