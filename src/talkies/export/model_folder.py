"""Export a run as a self-contained folder, to be loaded, published, or used without PyTorch.

DIR/
  README.md                                the model card
  video.safetensors, audio.safetensors     the encoders without heads; of R(2+1)D-18 and ResNet-18 under torchvision's
                                           names
  model.safetensors                        the complete model
  video/, audio/                           in place of those: a public encoder with what it learnt, in the format of
                                           transformers
  video.onnx, audio.onnx                   with the format onnx: the complete model, and the preparation of clips for it
  config.json                              written last: a folder with it is a complete export
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from talkies.config import read_yaml
from talkies.core import Modality, RunError, UsageError, suggest_nearest, yuv_rows
from talkies.export.atomic_folder import check_folder, write_folder
from talkies.export.model_card import CARD, render_card
from talkies.export.onnx_files import check_onnx, write_onnx
from talkies.export.public_towers import load_for_export, write_tower
from talkies.models import Encoder, ModelConfig, TwoTower, compute_weights_stamp
from talkies.runs import (
    ClipEncoder,
    ExportedModel,
    RunFolder,
    RunModel,
    RunRecord,
    build_run_encoder,
    read_exported_model,
)
from talkies.runs.encoder_weights import write_encoder
from talkies.runs.exported_model import DESCRIPTION, PREFIX, WEIGHTS, ExportedTexts

if TYPE_CHECKING:  # evaluation needs packages of an extra, and an export without results does not
    from talkies.evaluation.results import Result

RUN_FORMATS = ("safetensors", "onnx", "hub")
_WEIGHT_FILES = ("video.safetensors", "audio.safetensors", WEIGHTS)
_FILES = (*_WEIGHT_FILES, "video.onnx", "audio.onnx", CARD, DESCRIPTION)
_SECTIONS_ELSEWHERE = {"clip", "transforms", "model", "loader"}  # not in the recipe; the loader is the machine's


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """A folder with a run's model: its files, its formats, and the number of results on its card.

    `onnx_difference` is the largest difference between embeddings of the ONNX files and PyTorch's, if there are any.
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
        return self._find_weights("video")

    @property
    def audio(self) -> Path:
        """The audio encoder's weights."""
        return self._find_weights("audio")

    def _find_weights(self, modality: Modality) -> Path:
        public = self.folder / modality / WEIGHTS
        return public if public in self.files else self.folder / f"{modality}.safetensors"


def export_run(
    run: Path,
    to: Path,
    formats: Sequence[str] = ("safetensors",),
    step: int | None = None,
    *,
    results: Path | None = None,
    weights_license: str | None = None,
) -> ExportedRun:
    """Write a run's model to a folder, with its model card.

    A folder that already holds the same model keeps its other formats.

    Args:
        run: The run's folder.
        to: The folder that is written.
        formats: Some of `RUN_FORMATS`; safetensors is always written.
        step: The checkpoint's step; None takes the newest.
        results: A folder of results; the card lists those of this model. None takes the run's folder.
        weights_license: The licence of the weights, by its name on the hub.

    Raises:
        UsageError: if there is no such format, a package for it is missing, `results` holds none, or the folder holds
            another model.
        RunError: if there is no such run or checkpoint, or it is damaged.
        WorkError: if something cannot be written.
    """
    _check_formats(formats)
    check_folder(to)
    RunFolder(run).check_exists()
    loaded = load_for_export(run, step)
    encoder = build_run_encoder(loaded)
    if "onnx" in formats:
        _check_onnx(loaded, encoder)
    earlier = _read_earlier_export(to, encoder.stamp)
    exported = _describe_model(run, encoder, formats, earlier, weights_license)
    model_results = _read_model_results(encoder.stamp, run, results)
    model, shapes, difference = encoder.model.cpu().requires_grad_(False), compute_input_shapes(exported), None
    facts = {"stamp": encoder.stamp, "step": str(encoder.step), "talkies": version("talkies")}

    with write_folder(to, last=DESCRIPTION) as folder:
        exported = exported.model_copy(update=_write_weights(folder, model, loaded, facts))
        if "onnx" in formats:
            rate_hz = encoder.profile.audio_rate_hz
            difference = write_onnx(folder, model, encoder.transforms, shapes, rate_hz, facts=facts)
        (folder / CARD).write_text(render_card(exported, model, shapes, model_results), encoding="utf-8")
        (folder / DESCRIPTION).write_text(exported.model_dump_json(indent=1) + "\n", encoding="utf-8")
        files = tuple(to / path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return ExportedRun(to, files, exported.formats, encoder.stamp, encoder.step, len(model_results), difference)


def _write_weights(folder: Path, model: TwoTower, loaded: RunModel, facts: dict[str, str]) -> dict[str, Any]:
    """Write all weights of a model, and return what its description says of them."""
    towers = {modality: write_tower(tower, folder / modality) for modality, tower in loaded.towers.items()}
    encoders: tuple[tuple[Modality, Encoder, str], ...] = (
        ("video", model.video, loaded.config.video),
        ("audio", model.audio, loaded.config.audio),
    )
    for modality, encoder, name in encoders:
        if modality not in towers:
            write_encoder(folder / f"{modality}.safetensors", encoder, {**facts, "encoder": name})

    # The complete model, without the encoders that have a folder of their own.
    elsewhere = tuple(f"{modality}.network." for modality in towers)
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(elsewhere)}
    tensors = {PREFIX + name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / WEIGHTS, {"format": "pt", **facts})
    return {"towers": towers, "weights_stamp": compute_weights_stamp(weights)} if towers else {}


def _check_onnx(loaded: RunModel, encoder: ClipEncoder) -> None:
    """Check that the model can be written as ONNX files here."""
    if loaded.towers:
        names = " and ".join(tower.encoder.address for tower in loaded.towers.values())
        raise UsageError(
            f"ONNX files hold the preparation of clips too, and that of {names} cannot be written so; take another "
            "format: safetensors also writes folders that other tools convert"
        )
    check_onnx(encoder.transforms, encoder.profile.audio_rate_hz)


def compute_input_shapes(exported: ExportedModel) -> dict[Modality, tuple[int, ...]]:
    """Return the shapes of one clip's input: pictures `[T, P, W]` and samples `[S]`."""
    profile, shape = exported.profile, exported.clip.to_shape(exported.profile.fps)
    pictures = (shape.frames, yuv_rows(profile.short_side), profile.short_side)
    return {"video": pictures, "audio": (shape.audio_frames * profile.grid.samples_per_frame,)}


def _check_formats(formats: Sequence[str]) -> None:
    known = ", ".join(RUN_FORMATS)
    for name in formats:
        if name not in RUN_FORMATS:
            raise UsageError(
                f"a run has no format '{name}'{suggest_nearest(name, RUN_FORMATS)}; there are: {known} (embeddings "
                "have others: name their library with --library)"
            )
    if not formats:
        raise UsageError(f"no format was named; there are: {known}")


def _read_earlier_export(to: Path, stamp: str) -> ExportedModel | None:
    """Return the description of an earlier export of this model to the same folder, if there is one.

    Raises:
        UsageError: if the folder holds another model, or files of our names that no export of this model wrote.
    """
    if (to / DESCRIPTION).exists():
        try:
            earlier = read_exported_model(to)
        except RunError as error:
            raise UsageError(
                f"{to} holds a {DESCRIPTION} that is damaged or not from an export; name a new folder"
            ) from error
        if earlier.stamp != stamp:
            raise UsageError(
                f"{to} holds another model (stamp {earlier.stamp}, step {earlier.step}) than this one ({stamp}), and "
                "two are never mixed; name a new folder"
            )
        return earlier
    for name in _FILES:
        if (to / name).exists() and not any(_read_file_stamp(to / other) == stamp for other in _WEIGHT_FILES):
            raise UsageError(f"{to} holds a {name} that is not of this model ({stamp}); name a new folder")
    return None


def _read_file_stamp(path: Path) -> str | None:
    """Return the stamp in the metadata of a file of weights, None if it has none."""
    try:
        with safe_open(path, "pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
    except (OSError, SafetensorError):
        return None
    return metadata.get("stamp")


def _describe_model(
    run: Path, encoder: ClipEncoder, formats: Sequence[str], earlier: ExportedModel | None, weights_license: str | None
) -> ExportedModel:
    folder = RunFolder(run)
    values, record = read_yaml(folder.config_path), folder.read_record()
    all_formats = {"safetensors", *formats, *(earlier.formats if earlier else ())}
    return ExportedModel(
        stamp=encoder.stamp,
        step=encoder.step,
        clip=encoder.clip,
        profile=encoder.profile,
        transforms=encoder.transforms,
        model=ModelConfig.model_validate(values["model"]),
        recipe={name: section for name, section in values.items() if name not in _SECTIONS_ELSEWHERE},
        films=record.films,
        plan_digest=record.plan_digest,
        init=_remove_folders(record),
        tools=record.tools,
        exported_by=f"talkies {version('talkies')}",
        formats=tuple(name for name in RUN_FORMATS if name in all_formats),
        license=weights_license or (earlier.license if earlier else "unknown"),
        bases={
            modality: base.model_copy(update={"folder": ""})  # of this machine
            for modality, base in record.bases.items()
        },
        texts={
            modality: ExportedTexts(address=space.address, modality=space.modality)
            for modality, space in encoder.texts.items()
        },
        moved=dict(encoder.moved),
    )


def _remove_folders(record: RunRecord) -> dict[str, str]:
    """Return the initial weights of each tower: the names and stamps of the files, without this machine's folders."""
    initial_weights = {}
    for tower, text in record.init.items():
        path, _, stamp = text.rpartition(" (")
        initial_weights[tower] = f"{Path(path).name} ({stamp}"
    return initial_weights


def _read_model_results(stamp: str, run: Path, named: Path | None) -> "list[tuple[Path, Result]]":
    """Return the results of this model, from the folder that was named, or from the run's."""
    if named is None and not any(run.glob("**/results/*.json")):
        return []

    from talkies.evaluation.results import read_results

    results = read_results(named or run)
    return [(path, result) for path, result in results if result.protocol.get("model_stamp") == stamp]
