"""The base class of film tasks: measurements over whole films, each with its protocol in the result."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, get_args

from talkies.clips.film_pass import OnFilm
from talkies.core import MODALITIES, ModalityChoice, UsageError
from talkies.evaluation.results.result import Result
from talkies.runs import ClipEncoder

MODALITY_CHOICES: tuple[ModalityChoice, ...] = get_args(ModalityChoice)
"""Tasks over lists of shots measure either modality, and both together (mean of scores, concatenated features)."""


class FilmTask(ABC):
    """A measurement over whole films: an encoder and a folder in, a result with its protocol out.

    A task over films that published lists name can leave out missing ones; `FolderTask` takes every film of a folder.
    """

    name: ClassVar[str]
    """The name of the task on the command line and in results."""
    needs: ClassVar[str]
    """What the folder of data holds."""
    compares_modalities: ClassVar[bool] = False
    """Whether pictures are compared with sounds, so that a model must have both in one space."""

    @abstractmethod
    def measure(
        self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None = None, *, allow_missing: bool = False
    ) -> Result:
        """Return the result of this task.

        Args:
            encoder: The encoder that is measured.
            data: The folder of data; see `needs`.
            on_film: Called after each film with its name and the number of films.
            allow_missing: Whether to measure without listed films that are missing.

        Raises:
            UsageError: if the data are not what the task needs, or it lists no films and `allow_missing` is set.
            MediaError: if a film is damaged, or lacks pictures or sound.
        """


class FolderTask(FilmTask):
    """A measurement over every film of a folder or of a library."""

    def measure(
        self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None = None, *, allow_missing: bool = False
    ) -> Result:
        """Return the result of this task; see `FilmTask.measure`."""
        if allow_missing:
            raise UsageError(f"{self.name} measures every film of the folder; leave out --allow-missing")
        return self._measure_folder(encoder, data, on_film)

    @abstractmethod
    def _measure_folder(self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
        """Return the result over all films of `data`."""


def describe_model(encoder: ClipEncoder) -> dict[str, Any]:
    """Return which model is measured: a run with its step, or the address of public encoders with their licence."""
    if encoder.is_public:
        return {"run": str(encoder.run), "model_stamp": encoder.stamp, "license": encoder.license}
    return {"run": str(encoder.run), "checkpoint_step": encoder.step, "model_stamp": encoder.stamp}


def explain_not_joint(encoder: ClipEncoder) -> str | None:
    """Return why a model's pictures and sounds cannot be compared; None if they can."""
    if len(encoder.modalities) < len(MODALITIES):
        return f"{encoder.run} encodes {encoder.modalities[0]} only"
    return None if encoder.joint else f"the pictures and sounds of {encoder.run} lie in spaces of their own"


def check_joint(encoder: ClipEncoder, task: str) -> None:
    """Check that pictures and sounds can be compared.

    Raises:
        UsageError: if the model encodes only one of the two, or each in a space of its own.
    """
    if reason := explain_not_joint(encoder):
        raise UsageError(
            f"{task} compares pictures with sounds, and {reason}; name a run that was trained on these encoders, or "
            "public encoders of both in one space, such as PE-AV"
        )


def list_choices(encoder: ClipEncoder) -> tuple[ModalityChoice, ...]:
    """Return the modalities that a task over shots measures: each that the model has, and both if it has both."""
    return MODALITY_CHOICES if len(encoder.modalities) == len(MODALITIES) else encoder.modalities


def describe_encoder(encoder: ClipEncoder, stride_frames: int | None = None) -> dict[str, Any]:
    """Return the facts that every protocol starts with: the model, its clips, and how they are cut from a film.

    Args:
        encoder: The encoder that is measured.
        stride_frames: The distance in frames from the start of one clip to the next, where one distance holds for all.
    """
    facts = describe_model(encoder) | {
        "clip": encoder.clip.model_dump(),
        "profile": encoder.profile.model_dump(),
    }
    if stride_frames is not None:
        facts["stride_seconds"] = stride_frames / encoder.profile.fps
    return facts | {"crop": "middle square, whole"}
