"""The model card of an exported model: what it is, its training data, how to use it, how good it is, its limits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from torch import nn

from talkies.config.yaml import format_yaml
from talkies.core import Modality, format_count
from talkies.export.onnx_files import INPUTS, TOLERANCE
from talkies.models import TwoTower
from talkies.runs import ExportedModel

if TYPE_CHECKING:  # evaluation needs packages of an extra, and a card without results does not
    from talkies.evaluation.results import Result

CARD = "README.md"
_MOST_FILMS = 300  # that the card lists
_INPUT_TYPES: dict[Modality, str] = {"video": "uint8", "audio": "int16"}
_TAGS = ("talkies", "audio-visual", "self-supervised", "video", "audio", "video-retrieval", "feature-extraction")


def render_card(
    exported: ExportedModel,
    model: TwoTower,
    shapes: Mapping[Modality, tuple[int, ...]],
    results: "Sequence[tuple[Path, Result]]",
) -> str:
    """Return the card as Markdown; for the hub it starts with the front matter that Hugging Face reads.

    Args:
        exported: The description of the model.
        model: The model.
        shapes: The shape of one clip's pictures and samples.
        results: The results of this model.
    """
    environment = Environment(  # noqa: S701  # Markdown, whose text is the run's own
        loader=PackageLoader("talkies.export"), trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("card.md").render(
        exported=exported,
        front_matter=format_yaml(_build_front_matter(exported)) if "hub" in exported.formats else "",
        films=format_count(len(exported.films), "film"),
        most_films=_MOST_FILMS,
        sizes={"video": _count_parameters(model.video), "audio": _count_parameters(model.audio)},
        dims={"video": model.video.out_dim, "audio": model.audio.out_dim},
        inputs={modality: (INPUTS[modality], _INPUT_TYPES[modality], shape) for modality, shape in shapes.items()},
        side=exported.profile.short_side,
        tolerance=TOLERANCE,
        results=_format_results(results) if results else "",
        profile=", ".join(f"{name} {value}" for name, value in exported.profile.model_dump().items()),
        tools=", ".join(f"{name} {number}" for name, number in sorted(exported.tools.items())),
        recipe=format_yaml(_build_recipe(exported)),
    )
    return text.rstrip() + "\n"


def _build_front_matter(exported: ExportedModel) -> dict[str, Any]:
    formats = [name for name in exported.formats if name != "hub"]
    return {
        "license": exported.license,
        "library_name": "talkies",
        "pipeline_tag": "feature-extraction",
        "tags": [*_TAGS, *formats],
    }


def _format_results(results: "Sequence[tuple[Path, Result]]") -> str:
    """Return a table of results, without the path of the run."""
    from talkies.evaluation.results import build_table, format_table

    anonymous = [
        (path, result.model_copy(update={"protocol": {**result.protocol, "run": "this model"}}))
        for path, result in results
    ]
    return format_table(build_table(anonymous), "markdown")


def _build_recipe(exported: ExportedModel) -> dict[str, Any]:
    sections = {name: getattr(exported, name).model_dump(mode="json") for name in ("clip", "transforms", "model")}
    return {**sections, **exported.recipe}


def _count_parameters(module: nn.Module) -> str:
    """Return the number of a module's parameters, in words."""
    count = sum(parameter.numel() for parameter in module.parameters())
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,}"
