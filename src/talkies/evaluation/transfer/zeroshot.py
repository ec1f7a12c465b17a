"""Zero-shot classification: a clip is of the class whose words its embedding is nearest to; nothing is learnt.

The name of a class is put into several sentences, and the mean of their unit embeddings, again of length one, stands
for the class (Radford et al. 2021, arXiv:2103.00020).

Shapes: `B` windows, `N` examples, `V` windows of each, `D` embedding, `K` classes, `M` templates.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from torch import Tensor

from talkies.clips.clip_spec import ClipSpec
from talkies.core import Float64s, Modality, UsageError
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.transfer.extract import ExtractedFeatures
from talkies.evaluation.transfer.features import TowerFeatures, compute_stamp, select_towers
from talkies.evaluation.transfer.methods import FeatureChoice, TransferMethod
from talkies.evaluation.transfer.probes import ClipScores
from talkies.evaluation.transfer.protocol import Protocol
from talkies.runs import ClipEncoder

TEMPLATES: Mapping[Modality, tuple[str, ...]] = {
    "video": ("a photo of {}.", "a video of {}.", "a scene of {}.", "a photo of a person doing {}."),
    "audio": ("This is a sound of {}.", "the sound of {}.", "a recording of {}.", "{} can be heard."),
}
CLASS_NAMES = "as the data set has them; underscores and camel case become spaces, square brackets are left out"
_NAMES: Mapping[Modality, str] = {"video": "pictures", "audio": "sounds"}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def make_readable(name: str) -> str:
    """Return the name of a class in words: `crying_baby` is `crying baby`, `ApplyEyeMakeup` is `apply eye makeup`."""
    words = name.replace("_", " ").replace("[", "").replace("]", "")
    if " " not in name.strip() and not name.isupper():
        words = _CAMEL.sub(" ", words).lower()
    return " ".join(words.split())


def choose_templates(protocol: Protocol, modality: Modality) -> tuple[str, ...]:
    """Return the templates of a protocol, or the default ones of a modality."""
    return protocol.zeroshot.templates or TEMPLATES[modality]


class EmbeddingFeatures(TowerFeatures):
    """Embeddings in the space that a model's words share, as unit vectors."""

    def __init__(self, name: str, encoder: ClipEncoder, clip_spec: ClipSpec) -> None:
        """Take the encoders of a model, with its heads and its words.

        Args:
            name: the name in results.
            encoder: the model.
            clip_spec: the input of its encoders.
        """
        towers = select_towers(encoder)
        super().__init__(name, clip_spec, encoder.transforms, *towers, precision=encoder.precision)
        self._encoder = encoder
        self.stamp = compute_stamp(f"embeddings {encoder.stamp} {self.stamp}")

    def check(self, modalities: Collection[Modality]) -> None:
        """Check that some modalities can be encoded, and that there are words for each."""
        super().check(modalities)
        if missing := sorted(set(modalities) - set(self._encoder.text_modalities)):
            what = _NAMES[missing[0]]
            others = [_NAMES[each] for each in self._encoder.text_modalities]
            remedy = f"its {others[0]} have; or " if others else ""
            raise UsageError(
                f"the {what} of {self._encoder.run} have no text encoder in their space, so they cannot be classified "
                f"by the names of classes; {remedy}name a model whose {what} have one, such as CLIP or SigLIP "
                "(pictures), CLAP (sounds) or PE-AV (both)"
            )

    def encode_video(self, video_BTPZ: Tensor) -> Tensor:
        """Return embeddings `[B, D]` of video."""
        return self._embed(super().encode_video(video_BTPZ), "video")

    def encode_audio(self, audio_BS: Tensor) -> Tensor:
        """Return embeddings `[B, D]` of audio."""
        return self._embed(super().encode_audio(audio_BS), "audio")

    def embed_classes(self, names: Sequence[str], modality: Modality, templates: Sequence[str]) -> Float64s:
        """Return one unit vector for each class, `[K, D]`: the direction of the mean over templates.

        Args:
            names: the names of the classes, in words.
            modality: what the vectors are to be compared with.
            templates: sentences with `{}` where the name goes.
        """
        texts = [template.replace("{}", name) for name in names for template in templates]
        text_XD = np.asarray(self._encoder.encode_text(texts, modality), np.float64)
        return normalise(text_XD.reshape(len(names), len(templates), -1).mean(1))

    def _embed(self, features_BE: Tensor, modality: Modality) -> Tensor:
        model = self._encoder.model
        embed = model.embed_video if modality == "video" else model.embed_audio
        with self.precision.encode_on(self._device.type):
            return embed(features_BE.to(self._device)).float().cpu()


def make_features(name: str, encoder: ClipEncoder, clip_spec: ClipSpec, *, words: bool) -> TowerFeatures:
    """Return a model's features before its heads, or its embeddings if they are to be compared with words.

    Args:
        name: the name in results.
        encoder: the model.
        clip_spec: the input of its encoders.
        words: whether they are compared with words.
    """
    if words:
        return EmbeddingFeatures(name, encoder, clip_spec)
    towers = select_towers(encoder)
    return TowerFeatures(name, clip_spec, encoder.transforms, *towers, precision=encoder.precision)


class ZeroShot(TransferMethod):
    """The cosine of each window's embedding with that of each class."""

    def __init__(
        self, data: DataSet, extracted: ExtractedFeatures, features: EmbeddingFeatures, protocol: Protocol
    ) -> None:
        """Embed the classes.

        Args:
            data: the data set.
            extracted: the embeddings of its clips.
            features: what made them, and embeds words.
            protocol: gives the templates.
        """
        self._data, self._extracted = data, extracted
        names = [make_readable(name) for name in data.classes]
        self._class_KD = {
            modality: features.embed_classes(names, modality, choose_templates(protocol, modality))
            for modality in data.modalities
        }

    def fit_and_score(self, choice: FeatureChoice, split: Split, _seed: int) -> ClipScores:
        """Return the scores of a split's test clips: cosines, of both modalities their mean."""
        chosen = [modality for modality in self._data.modalities if choice in (modality, "joint")]
        scores = [self._score(split.test, modality) for modality in chosen]
        return ClipScores(np.mean(scores, axis=0), {})

    def _score(self, numbers: Sequence[int], modality: Modality) -> Float64s:
        window_NVD = np.stack([self._extracted.features[number][modality].double().numpy() for number in numbers])
        scores_NVK: Float64s = normalise(window_NVD) @ self._class_KD[modality].T
        return scores_NVK


def normalise(rows: Float64s) -> Float64s:
    """Return vectors of length one along the last axis; zeros stay."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: Float64s = rows / np.maximum(lengths, np.finfo(np.float64).tiny)
    return unit
