"""A run as a folder that stands alone, to be loaded, published, or run without PyTorch.

DIR/
  README.md                                the model card
  video.safetensors, audio.safetensors     the encoders without heads, under torchvision's names
  model.safetensors                        the whole model
  video.onnx, audio.onnx                   with the format onnx: the whole model, and what makes clips ready for it
  config.json                              comes last: with it the folder is a model
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from talkies.config import read_yaml
from talkies.core import Modality, RunError, UsageError, suggest_nearest, yuv_rows
from talkies.evaluation.results import Result, read_results
from talkies.export.card import CARD, card_of
from talkies.export.folder import check_folder, written_whole
from talkies.export.onnx_files import check_onnx, write_onnx
from talkies.models import ModelConfig
from talkies.runs import RunFolder, RunRecord, export_weights
from talkies.runs.clip_encoder import ClipEncoder, load_encoder
from talkies.runs.exported_model import DESCRIPTION, PREFIX, WEIGHTS, ExportedModel, read_exported_model

RUN_FORMATS = ("safetensors", "onnx", "hub")
_OWN_FILES = ("video.safetensors", "audio.safetensors", WEIGHTS, "video.onnx", "audio.onnx", CARD, DESCRIPTION)
_CONFIG_APART = {"clip", "transforms", "model", "loader"}  # told beside the recipe; the loader is the machine's


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """A folder with a run's model: its files, which formats they are, and how many results its card tells.

    `onnx_difference` is by how much embeddings of the ONNX files differ from PyTorch's at most, where there are any.
    """

    folder: Path
    files: tuple[Path, ...]
    formats: tuple[str, ...]
    stamp: str
    step: int
    results: int
    onnx_difference: float | None

    @property
    def video(self) -> Path:
        """The video encoder's weights."""
        return self.folder / "video.safetensors"

    @property
    def audio(self) -> Path:
        """The audio encoder's weights."""
        return self.folder / "audio.safetensors"


def export_run(
    run: Path,
    to: Path,
    formats: Sequence[str] = ("safetensors",),
    step: int | None = None,
    *,
    results: Path | None = None,
    weights_license: str | None = None,
) -> ExportedRun:
    """Write a run's newest checkpoint, or that of `step`, with its model card; `onnx` and `hub` add to `safetensors`.

    The card tells the results of this very model that lie in `results`, or without it in the run's folder. A folder
    that holds the same model already keeps the formats that it has. `weights_license` is one of the hub's names.

    Raises:
        UsageError: if there is no such format, a package for it is missing, `results` holds none, or the folder holds
            another model.
        RunError: if there is no such run or checkpoint, or it is damaged.
        WorkError: if something cannot be written.
    """
    _check_formats(formats)
    check_folder(to)
    RunFolder(run).check_exists()
    encoder = load_encoder(run, step)
    if "onnx" in formats:
        check_onnx(encoder.transforms)
    before = _checked_before(to, encoder.stamp)
    artefact = _artefact(run, encoder, formats, before, weights_license)
    told = _results(encoder.stamp, run, results)
    model, shapes, difference = encoder.model.cpu().requires_grad_(False), clip_shapes(artefact), None
    facts = {"stamp": encoder.stamp, "step": str(encoder.step), "talkies": version("talkies")}
    with written_whole(to, last=DESCRIPTION) as folder:
        weights = {PREFIX + name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, folder / WEIGHTS, {"format": "pt", **facts})
        export_weights(run, folder, encoder.step)
        if "onnx" in formats:
            rate_hz = encoder.profile.audio_rate_hz
            difference = write_onnx(folder, model, encoder.transforms, shapes, rate_hz, facts=facts)
        (folder / CARD).write_text(card_of(artefact, model, shapes, told), encoding="utf-8")
        (folder / DESCRIPTION).write_text(artefact.model_dump_json(indent=1) + "\n", encoding="utf-8")
        written = tuple(to / path.name for path in sorted(folder.iterdir()))
    return ExportedRun(to, written, artefact.formats, encoder.stamp, encoder.step, len(told), difference)


def clip_shapes(artefact: ExportedModel) -> dict[Modality, tuple[int, ...]]:
    """Return the shapes of one clip's bytes: pictures `[T, P, W]` and samples `[S]`."""
    profile, shape = artefact.profile, artefact.clip.to_shape(artefact.profile.fps)
    pictures = (shape.frames, yuv_rows(profile.short_side), profile.short_side)
    return {"video": pictures, "audio": (shape.audio_frames * profile.grid.samples_per_frame,)}


def _check_formats(formats: Sequence[str]) -> None:
    for name in formats:
        if name not in RUN_FORMATS:
            known = ", ".join(RUN_FORMATS)
            raise UsageError(
                f"a run has no format '{name}'{suggest_nearest(name, RUN_FORMATS)}; there are: {known} (embeddings have "
                "others: name their library with --library)"
            )
    if not formats:
        raise UsageError(f"no format was named; there are: {', '.join(RUN_FORMATS)}")


def _checked_before(to: Path, stamp: str) -> ExportedModel | None:
    """Return the description of this very model if `to` has it already.

    Raises:
        UsageError: if the folder holds another model, or files that no export of this one wrote.
    """
    if (to / DESCRIPTION).exists():
        try:
            before = read_exported_model(to)
        except RunError as error:
            raise UsageError(
                f"{to} holds a {DESCRIPTION} that no export wrote, or damaged; name a new folder"
            ) from error
        if before.stamp != stamp:
            raise UsageError(
                f"{to} holds another model (stamp {before.stamp}, step {before.step}) than this one ({stamp}), and two "
                "are never mixed; name a new folder"
            )
        return before
    for name in _OWN_FILES:
        if (to / name).exists() and not any(_stamp_in(to / other) == stamp for other in _OWN_FILES[:3]):
            raise UsageError(f"{to} holds a {name} that is not of this model ({stamp}); name a new folder")
    return None


def _stamp_in(path: Path) -> str | None:
    """Return the stamp that a file of weights tells in its metadata."""
    try:
        with safe_open(path, "pt") as file:
            told: Mapping[str, str] = file.metadata() or {}
    except (OSError, SafetensorError):
        return None
    return told.get("stamp")


def _artefact(
    run: Path, encoder: ClipEncoder, formats: Sequence[str], before: ExportedModel | None, weights_license: str | None
) -> ExportedModel:
    folder = RunFolder(run)
    values, record = read_yaml(folder.config_path), folder.read_record()
    own, have = set(formats) | {"safetensors"}, before.formats if before else ()
    return ExportedModel(
        stamp=encoder.stamp,
        step=encoder.step,
        clip=encoder.clip,
        profile=encoder.profile,
        transforms=encoder.transforms,
        model=ModelConfig.model_validate(values["model"]),
        recipe={name: section for name, section in values.items() if name not in _CONFIG_APART},
        films=record.films,
        plan_digest=record.plan_digest,
        init=_without_folders(record),
        tools=record.tools,
        exported_by=f"talkies {version('talkies')}",
        formats=tuple(name for name in RUN_FORMATS if name in own or name in have),
        license=weights_license or (before.license if before else "unknown"),
    )


def _without_folders(record: RunRecord) -> dict[str, str]:
    """Return what each tower began with: names and stamps of files, and not where they lay on the machine."""
    told = {}
    for tower, text in record.init.items():
        path, _, stamp = text.rpartition(" (")
        told[tower] = f"{Path(path).name} ({stamp}"
    return told


def _results(stamp: str, run: Path, named: Path | None) -> list[tuple[Path, Result]]:
    """Return the results of this very model, in the folder that was named or in the run's."""
    if named is None and not any(run.glob("**/results/*.json")):
        return []
    found = read_results(named or run)
    return [(path, result) for path, result in found if result.protocol.get("model_stamp") == stamp]
