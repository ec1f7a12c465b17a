"""The demo's page: curves, frames, spectrograms and search results in one standalone HTML file."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from jinja2 import Environment
from matplotlib.figure import Figure
from PIL import Image

from talkies.core import Span, UInt8s, parse_film_id
from talkies.library import Library
from talkies.media import AudioReader, VideoReader, yuv_to_rgb
from talkies.reporting import encode_figure
from talkies.runtime import write_atomically
from talkies.study.demo_search import FoundMoments
from talkies.transforms import AudioTransformConfig, LogMel

_STRIP_FRAMES = 4
_BLUE, _ORANGE = "#0072B2", "#D55E00"  # distinguishable for the colour-blind
_QUERY_WORDS = {"video": "by picture", "audio": "by sound"}


@dataclass(frozen=True, slots=True)
class MomentCard:
    """A span of a film on the page, with its frames and its spectrogram as PNG data."""

    title: str
    concept: str
    is_same: bool
    score: str
    frames: str
    spectrogram: str


def write_page(
    path: Path,
    library: Path,
    metrics: Sequence[Mapping[str, float]],
    rows: Sequence[tuple[str, str, str, str]],
    searches: Mapping[str, FoundMoments],
) -> None:
    """Write the page to `path`."""
    template = Environment(autoescape=True).from_string(
        (files("talkies.study") / "templates" / "demo.html").read_text(encoding="utf-8")
    )
    opened = Library.open(library)
    page = template.render(
        version=version("talkies"),
        rows=rows,
        curves=_draw_curves(metrics),
        last=metrics[-1] if metrics else {},
        searches=[_render_search(opened, _QUERY_WORDS[side], found) for side, found in searches.items()],
    )
    write_atomically(path, page)


def _render_search(library: Library, how: str, found: FoundMoments) -> dict[str, object]:
    result = found.result
    assert result.film_id is not None, "the query is a moment"
    query = MomentCard(
        title=f"{result.source}, {result.start_seconds:.1f}–{result.end_seconds:.1f} s",
        concept=found.concept,
        is_same=True,
        score="",
        frames=_render_strip(library, result.film_id, result.start_seconds, result.end_seconds),
        spectrogram=_render_spectrogram(library, result.film_id, result.start_seconds, result.end_seconds),
    )
    hits = [
        MomentCard(
            title=f"{hit.source}, {hit.start_seconds:.1f}–{hit.end_seconds:.1f} s",
            concept=concept or "contains a cut",
            is_same=concept == found.concept,
            score=f"{hit.score:.2f}",
            frames=_render_strip(library, hit.film_id, hit.start_seconds, hit.end_seconds),
            spectrogram=_render_spectrogram(library, hit.film_id, hit.start_seconds, hit.end_seconds),
        )
        for hit, concept in zip(result.hits, found.hit_concepts, strict=True)
    ]
    return {"how": how, "query": query, "hits": hits}


def _render_strip(library: Library, film_id: str, start_seconds: float, end_seconds: float) -> str:
    """Return frames of a span, side by side."""
    profile, film = library.profile, parse_film_id(film_id)
    start, end = (round(seconds * profile.fps) for seconds in (start_seconds, end_seconds))
    with VideoReader(library.proxy_path(film), profile.fps) as reader:
        pictures = reader.read(range(start, end, max(1, (end - start) // _STRIP_FRAMES)))[:_STRIP_FRAMES]
    return _encode_png(np.concatenate([yuv_to_rgb(picture) for picture in pictures], axis=1))


def _render_spectrogram(library: Library, film_id: str, start_seconds: float, end_seconds: float) -> str:
    """Return the log-mel spectrogram of a span, low frequencies at the bottom."""
    grid = library.profile.grid
    span = Span(round(start_seconds * grid.fps), round(end_seconds * grid.fps))
    samples_S = AudioReader(library.audio_path(parse_film_id(film_id))).read(span, grid.samples_per_frame)
    log_mel = LogMel(AudioTransformConfig(mels=64, rate_hz=16_000), grid.audio_rate_hz)
    level_FL = log_mel(torch.from_numpy(samples_S)[None])[0, 0].flip(0).numpy()
    shade = np.clip((level_FL + 2.0) / 5.0, 0, 1)
    colours = (1 - shade[..., None]) * np.array([247, 249, 252]) + shade[..., None] * np.array([0, 50, 95])
    return _encode_png(colours.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1))


def _draw_curves(metrics: Sequence[Mapping[str, float]]) -> str:
    """Return the curves of loss and accuracy over training, as a data URI."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    steps = [line["step"] for line in metrics]
    for axes, names, title in (
        (losses, ("loss_within_film", "loss_which_film"), "loss (nats)"),
        (accuracies, ("accuracy_within_film", "accuracy_which_film"), "accuracy in the batch"),
    ):
        for name, colour, style in zip(names, (_BLUE, _ORANGE), ("-", "--"), strict=True):
            label = "which clip of the film" if "within" in name else "which film (not trained on)"
            axes.plot(steps, [line[name] for line in metrics], style, color=colour, label=label)
        axes.set(xlabel="step", ylabel=title, ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    return encode_figure(figure)


def _encode_png(rgb_HWC: UInt8s) -> str:
    data = io.BytesIO()
    Image.fromarray(rgb_HWC).save(data, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
