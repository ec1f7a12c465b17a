"""The description of an embedding set: which model made it, what it can be asked, and how its clips were cut."""

import re
from typing import Annotated, Any

from pydantic import Field, model_validator

from talkies.config import Config
from talkies.core import MODALITIES, Framing, Modality, UsageError, text_to_path
from talkies.runs import is_model_address
from talkies.runs.texts import explain_no_words

SCHEMA_VERSION = 4  # 4: a width for each modality, and words; 3: rows have shots
OLDEST_VERSION = 3
_PLURALS = {"video": "pictures", "audio": "sounds"}
_EXAMPLES = {"video": "CLIP, DINOv2 or PE-AV", "audio": "CLAP, wav2vec 2.0 or PE-AV"}
_FOLDER_OF_ADDRESS = re.compile(r"(?<=:)/[^,]*/")


class EmbeddingSet(Config):
    """The description of an embedding set.

    Sets of version 3 have one width, `dim`, for both modalities, in one space, and no words; the pictures of those that
    are older still are the squares in their middle.

    Attributes:
        stamp: identifies the model's weights.
        run: the model: the folder of a run or of an exported model, or the address of public encoders.
        step: the training step of the weights; 0 for public encoders.
        dims: the width of each modality's embeddings; 0 for a modality that the model lacks.
        joint: whether embeddings of pictures and of sounds lie in one space.
        text: the modalities whose embeddings words can be compared with.
        clip_seconds: how long a clip is.
        stride_seconds: the time from one clip to the next.
        framing: how a picture became a square.
    """

    schema_version: int = SCHEMA_VERSION
    stamp: str
    run: str
    step: int
    dims: dict[Modality, Annotated[int, Field(ge=0)]]
    joint: bool = True
    text: Annotated[tuple[Modality, ...], Field(strict=False)] = ()  # JSON has lists
    clip_seconds: float
    stride_seconds: float
    framing: Framing = "centre"

    @model_validator(mode="before")
    @classmethod
    def _read_one_width(cls, values: Any) -> Any:
        if isinstance(values, dict) and "dim" in values and "dims" not in values:
            dim = values["dim"]
            rest = {name: value for name, value in values.items() if name != "dim"}
            return {**rest, "dims": dict.fromkeys(MODALITIES, dim)}
        return values

    @model_validator(mode="after")
    def _check_widths(self) -> "EmbeddingSet":
        if set(self.dims) != set(MODALITIES) or not any(self.dims.values()):
            raise ValueError(f"a set has a width for each modality, one of them above 0, got {self.dims}")
        return self

    @property
    def dim(self) -> int:
        """The width of the widest embeddings."""
        return max(self.dims.values())

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the set has embeddings of."""
        return tuple(modality for modality in MODALITIES if self.dims[modality])

    @property
    def name(self) -> str:
        """The name of the model for people: of its folder, or its address without the folders before the name."""
        return _FOLDER_OF_ADDRESS.sub("", self.run) if self.is_public else text_to_path(self.run).name

    @property
    def is_public(self) -> bool:
        """Whether the set was made by public encoders, and not by a run."""
        return is_model_address(self.run)

    def describe(self) -> str:
        """Return the stamp, and the model that has it, for messages."""
        return (
            f"{self.stamp} (model {self.run})" if self.is_public else f"{self.stamp} (run {self.run}, step {self.step})"
        )

    @property
    def embed_option(self) -> str:
        """The option of `talkies embed` that names the model."""
        return f"--model {self.run}" if self.is_public else f"--run {self.run}"

    def check_has(self, modality: Modality) -> None:
        """Check that the set has embeddings of a modality.

        Raises:
            UsageError: if it has none.
        """
        if modality not in self.modalities:
            raise UsageError(
                f"{self.name} has embeddings of {_PLURALS[self.modalities[0]]} only; for {_PLURALS[modality]}, embed "
                "the library with a model that has them: a run of talkies, or a public encoder such as "
                f"{_EXAMPLES[modality]}"
            )

    def check_comparable(self, own: Modality, other: Modality) -> None:
        """Check that embeddings of one modality can be compared with those of another.

        Raises:
            UsageError: if they lie in separate spaces.
        """
        if own != other and not self.joint:
            raise UsageError(
                f"the pictures and sounds of {self.name} lie in separate spaces, so {_PLURALS[own]} cannot be matched "
                f"against {_PLURALS[other]}; match them against {_PLURALS[own]} (--to {own}), or embed the library "
                "with a model that has one space for both: a run of talkies, or PE-AV"
            )

    def check_words(self, modality: Modality) -> None:
        """Check that words can be compared with a modality.

        Raises:
            UsageError: if they cannot.
        """
        if modality not in self.text:
            raise UsageError(explain_no_words(self.name, modality, self.text))
