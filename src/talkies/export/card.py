"""The model card: what a model is, what it learnt from, how to use it, how good it is, and where that ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from torch import nn

from talkies.config.yaml import format_yaml
from talkies.core import Modality, format_count
from talkies.evaluation.results import Result, format_table, build_table
from talkies.export.onnx_files import INPUTS, TOLERANCE
from talkies.models import TwoTower
from talkies.runs.exported_model import ExportedModel

CARD = "README.md"
_FILMS_NAMED = 300
_KINDS: dict[Modality, str] = {"video": "uint8", "audio": "int16"}
_TAGS = ("talkies", "audio-visual", "self-supervised", "video", "audio", "video-retrieval", "feature-extraction")


def card_of(
    artefact: ExportedModel,
    model: TwoTower,
    shapes: Mapping[Modality, tuple[int, ...]],
    results: Sequence[tuple[Path, Result]],
) -> str:
    """Return the card as Markdown; for the hub it begins with the front matter that Hugging Face reads.

    `shapes` are those of a clip's bytes, and `results` those of this very model.
    """
    environment = Environment(  # noqa: S701  # Markdown, whose text is the run's own
        loader=PackageLoader("talkies.export"), trim_blocks=True, lstrip_blocks=True
    )
    tools = ", ".join(f"{name} {number}" for name, number in sorted(artefact.tools.items()))
    text = environment.get_template("card.md").render(
        artefact=artefact,
        front=format_yaml(_front_matter(artefact)) if "hub" in artefact.formats else "",
        films=format_count(len(artefact.films), "film"),
        most_films=_FILMS_NAMED,
        sizes={"video": _size(model.video), "audio": _size(model.audio)},
        dims={"video": model.video.out_dim, "audio": model.audio.out_dim},
        inputs={tower: (INPUTS[tower], _KINDS[tower], shape) for tower, shape in shapes.items()},
        side=artefact.profile.short_side,
        tolerance=TOLERANCE,
        results=format_table(build_table((path, _of_no_place(result)) for path, result in results), "markdown")
        if results
        else "",
        profile=", ".join(f"{name} {value}" for name, value in artefact.profile.model_dump().items()),
        tools=tools,
        recipe=format_yaml(_recipe(artefact)),
    )
    return text.rstrip() + "\n"


def _front_matter(artefact: ExportedModel) -> dict[str, Any]:
    formats = [name for name in artefact.formats if name != "hub"]
    return {
        "license": artefact.license,
        "library_name": "talkies",
        "pipeline_tag": "feature-extraction",
        "tags": [*_TAGS, *formats],
    }


def _of_no_place(result: Result) -> Result:
    """Return a result as one of the model, wherever its run lay."""
    return result.model_copy(update={"protocol": {**result.protocol, "run": "this model"}})


def _recipe(artefact: ExportedModel) -> dict[str, Any]:
    parts = {name: getattr(artefact, name).model_dump(mode="json") for name in ("clip", "transforms", "model")}
    return {**parts, **artefact.recipe}


def _size(module: nn.Module) -> str:
    count = sum(parameter.numel() for parameter in module.parameters())
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,}"
