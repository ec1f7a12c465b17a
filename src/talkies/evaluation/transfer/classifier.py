"""The network that fine-tuning trains, and the gradients of one of its batches, in as much memory as there is.

Shapes: `B` clips, `E` features, `K` classes, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S` samples.
"""

from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy

import torch
from torch import Tensor, nn

from talkies.core import Modality, UsageError
from talkies.core.precision import Precision, choose_device, has_bf16_arithmetic
from talkies.evaluation.transfer.features import TowerFeatures
from talkies.evaluation.transfer.schedules import FineTuning
from talkies.models import convert_to_full_precision
from talkies.training.step import split_into_even_chunks
from talkies.transforms import TransformConfig, VideoTransform
from talkies.transforms.audio import AudioTransform


class Classifier(nn.Module):
    """An encoder with its input transform, dropout, and one linear layer.

    With `mixed`, encoder and layer compute in mixed precision with bfloat16; weights, gradients and logits are float32.
    """

    def __init__(
        self,
        features: TowerFeatures,
        modality: Modality,
        classes: int,
        dropout: float,
        *,
        transforms: TransformConfig | None = None,
        mixed: bool = False,
    ) -> None:
        super().__init__()
        encoder = features.video_encoder if modality == "video" else features.audio_encoder
        if encoder is None:
            raise UsageError(f"{features.name} has no {modality} encoder; name a run that has one")
        self.encoder = deepcopy(encoder).requires_grad_(True)
        self.dropout, self.layer = nn.Dropout(dropout), nn.Linear(encoder.out_dim, classes)
        nn.init.normal_(self.layer.weight, std=0.01)
        nn.init.zeros_(self.layer.bias)
        self.precision = Precision("bf16-mixed" if mixed else "32-true")
        self.transform: VideoTransform | AudioTransform
        if modality == "video":
            self.transform = features.build_video_transform(transforms.video if transforms else None)
        else:
            self.transform = features.build_audio_transform()

    def forward(self, clips: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return logits `[B, K]`.

        Args:
            clips: uint8 video `[B, T, P, Z]`, or int16 audio `[B, S]`.
            generator: draws augmentations; without it there are none.
        """
        return self.classify(self.prepare(clips, generator), self.draw_dropout(len(clips)))

    @torch.no_grad()
    def prepare(self, clips: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the encoder's input `[B, …]`, augmented if there is a generator."""
        prepared: Tensor = self.transform(clips, generator)
        return prepared

    def draw_dropout(self, clips: int) -> Tensor:
        """Return the factors `[B, E]` of features: of dropout in training, and otherwise 1."""
        factor_BE: Tensor = self.dropout(torch.ones(clips, self.layer.in_features, device=self.layer.weight.device))
        return factor_BE

    def classify(self, prepared: Tensor, dropout_BE: Tensor, *, learns_encoder: bool = True) -> Tensor:
        """Return logits `[B, K]` of prepared clips.

        Args:
            prepared: the encoder's input.
            dropout_BE: factors of the features.
            learns_encoder: without it the encoder runs without a graph.
        """
        with self.precision.autocast(prepared.device.type):
            with nullcontext() if learns_encoder else torch.no_grad():
                features_BE = self.encoder(self.encoder.arrange_input(prepared))
            logits_BK: Tensor = self.layer(features_BE * dropout_BE)
        return convert_to_full_precision(logits_BK)


def uses_bf16(options: FineTuning) -> bool:
    """Return whether fine-tuning computes in mixed precision with bfloat16 on this machine.

    Raises:
        UsageError: if the options ask for it and the machine has no bfloat16 arithmetic.
    """
    device = choose_device().type
    match options.precision:
        case "32-true":
            return False
        case "auto":
            return device == "cuda" and has_bf16_arithmetic(device)
        case "bf16-mixed":
            if not has_bf16_arithmetic(device):
                raise UsageError(
                    "finetune.precision is bf16-mixed and this machine has no bf16 arithmetic; set it to 32-true"
                )
            return True


def backpropagate(
    model: Classifier,
    prepared: Tensor,
    compute_loss: Callable[[Tensor, slice], Tensor],
    *,
    chunk_clips: int | None = None,
    learns_encoder: bool = True,
) -> Tensor:
    """Add the gradients of a batch's mean loss to those of a model, and return the loss, float64 on its device.

    With chunks the gradient is the sum of those of the chunks, each with its share of the batch: the gradient of the
    whole batch, up to rounding, unless the encoder has batch norms in training, which normalise by what they see.

    Args:
        model: the model.
        prepared: the encoder's input of the whole batch, `[B, …]`.
        compute_loss: the mean loss of the logits of some of the batch's clips.
        chunk_clips: so many clips are encoded at a time; all if not given.
        learns_encoder: without it only the linear layer gets gradients.
    """
    clips = len(prepared)
    dropout_BE = model.draw_dropout(clips)
    total = torch.zeros((), dtype=torch.float64, device=dropout_BE.device)
    for chunk in split_into_even_chunks(clips, chunk_clips or clips):
        logits_BK = model.classify(prepared[chunk], dropout_BE[chunk], learns_encoder=learns_encoder)
        loss = compute_loss(logits_BK, chunk) * ((chunk.stop - chunk.start) / clips)
        loss.backward()
        total += loss.detach()
    return total
