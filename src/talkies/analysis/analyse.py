"""Measures what the films of a library are like, and derives advice for training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from talkies.analysis.clusters import DRAWS, ENOUGH_OF_MARGIN, MOST_CLUSTERS
from talkies.analysis.descriptors.describe_films import (
    EXCLUDED_KINDS,
    LEAST_CLIPS,
    MOST_CLIPS,
    describe_films,
    plain_clip,
)
from talkies.analysis.descriptors.film_probe import BLOCKS, LONGEST_GAP_SECONDS, C
from talkies.analysis.measure import MOST_PROBED, MOST_TOGETHER, analyse_films, probe_shortcut_cues
from talkies.analysis.page import NUMBERS
from talkies.analysis.settings import TINY, TrainingPlan, advise
from talkies.analysis.values import Analysis
from talkies.core import MODALITIES, UsageError, path_to_text
from talkies.library import Library
from talkies.runs import RESULTS, ClipEncoder, load_model, make_file_name, parse_model
from talkies.runtime import is_remote


def analyse(
    library: str | Path,
    run: str | Path | None = None,
    seed: int = 0,
    on_film: Callable[[str, int], None] | None = None,
    *,
    plan: TrainingPlan = TINY,
) -> Analysis:
    """Return the analysis of a library's films.

    Args:
        library: The location of the library.
        run: The run whose newest checkpoint describes the clips, or the address of public encoders that do; without
            one they are described by handcrafted features, as is what public encoders of one modality do not encode.
        seed: The seed of the random draws that clusters are compared with.
        on_film: Called after each film with its name and the number of films.
        plan: What the training that is advised would do without the advice; by default as the recipe `tiny`.

    Raises:
        LibraryError: if there is no such library, or it holds no accepted film.
        RunError: if there is no such run, or it has no checkpoint.
        ConfigError: if public encoders cannot be loaded.
        UsageError: if the library's profile is not the run's, or no film is long enough.
        MediaError: if a film cannot be read.
    """
    opened = Library.open(library)
    encoder = load_model(run, profile=opened.profile) if run else None
    described, left_out = describe_films(opened, encoder, on_film)

    fps = opened.profile.fps
    clip = encoder.clip if encoder else plain_clip(fps)
    window_frames = clip.to_shape(fps).window_frames
    clip_seconds = window_frames / fps

    films, together = analyse_films(described, clip_seconds, fps, seed)
    cue_probe = probe_shortcut_cues(described, window_frames, fps)
    return Analysis(
        library=path_to_text(opened.location),
        run=path_to_text(encoder.run) if encoder else None,
        step=encoder.step if encoder else None,
        model_stamp=encoder.stamp if encoder else None,
        license=encoder.license if encoder else None,
        clip_seconds=clip_seconds,
        films=films,
        together=together,
        marks=cue_probe,
        advice=advise(films, cue_probe, left_out, opened.location, clip_seconds, plan=plan),
        left_out=tuple(left_out),
        protocol=_describe_protocol(encoder, seed),
    )


def choose_folder(library: str, run: str | Path | None, out: Path | None) -> Path:
    """Return the folder for the analysis: `out`, or `analysis` in the run's folder or in the library's.

    Of public encoders it is a folder of `results/analyses`.

    Raises:
        UsageError: if the library is remote and no folder is named, or the folder holds something else.
    """
    if out is None and run is None and is_remote(library):
        raise UsageError(f"{library} is a URL, and the pages need a folder of this machine; name one with --out")
    model = parse_model(run) if run is not None else Path(library)
    own = RESULTS / "analyses" / make_file_name(model) if isinstance(model, str) else model / "analysis"
    folder = out or own
    if folder.exists() and not (folder.is_dir() and ((folder / NUMBERS).is_file() or not any(folder.iterdir()))):
        raise UsageError(f"{folder} exists and is not an analysis; name a new or empty folder with --out")
    if out and not folder.absolute().parent.is_dir():
        raise UsageError(
            f"{folder} cannot be made: the folder around it does not exist; name one in an existing folder"
        )
    return folder


def _describe_protocol(encoder: ClipEncoder | None, seed: int) -> dict[str, Any]:
    by_hand = "mean colour of 4 × 4 cells and motion; the sound’s mean power and mean level in 64 mel bins"
    return {
        "described_by": _name_descriptors(encoder, by_hand),
        "rows": "less the film’s mean; each block of numbers divided by its spread within films",
        "clips": f"end to end within shots, none that is {', '.join(EXCLUDED_KINDS)} or damaged; films of at least "
        f"{LEAST_CLIPS}, at most {MOST_CLIPS} a film spread evenly",
        "clusters": f"Ward’s tree, 2 to {MOST_CLUSTERS} clusters and at most a third of the clips: the fewest that "
        f"have {ENOUGH_OF_MARGIN} of the largest margin of the mean silhouette over {DRAWS} normal draws of the same "
        "variances; one cluster unless that is larger than any draw’s",
        "vendi": "of the cosines of the rows",
        "together": f"at most {MOST_TOGETHER} clips of all films, spread evenly",
        "film_probe": f"logistic regression (L2, C = {C}, films weigh alike) on standardised marks of at most "
        f"{MOST_PROBED} clips a film; {BLOCKS} blocks of time, one left out at a time, with a gap of a third of a "
        f"block (at most {LONGEST_GAP_SECONDS:g} s, at least a clip)",
        "seed": seed,
    }


def _name_descriptors(encoder: ClipEncoder | None, by_hand: str) -> str:
    """Return what describes the clips: embeddings, numbers made by hand, or one of them for each modality."""
    if encoder is None:
        return by_hand
    if len(encoder.modalities) == len(MODALITIES):
        return f"both towers’ embeddings, model {encoder.stamp}"
    (has,) = encoder.modalities
    names = {"video": "pictures", "audio": "sound"}
    other = "audio" if has == "video" else "video"
    return (
        f"{names[has]}: embeddings, model {encoder.stamp}, which encodes {has} only; {names[other]} by hand: {by_hand}"
    )
