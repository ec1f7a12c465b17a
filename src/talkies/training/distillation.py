"""Distillation: keep the features of an adapted encoder near those of the public encoder that it came from.

Shapes: `B` clips, `E` features.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import Modality
from talkies.models import AdaptationConfig, Encoder, TwoTower, without_adapters


class Distillation(nn.Module):
    """Measures how far the features of adapted encoders are from their teachers': 1 − their cosine.

    The teacher of an encoder with low-rank adapters is the same network without them; others have a frozen copy of the
    public encoder beside them.
    """

    def __init__(self, model: TwoTower, adaptation: AdaptationConfig) -> None:
        super().__init__()
        encoders: dict[Modality, Encoder] = {"video": model.video, "audio": model.audio}
        self.weights: dict[Modality, float] = {
            modality: adaptation.of(modality).distillation_weight
            for modality in encoders
            if adaptation.of(modality).distillation_weight
        }
        self.teachers = nn.ModuleDict(
            {
                modality: copy.deepcopy(encoders[modality]).requires_grad_(False)
                for modality in self.weights
                if adaptation.of(modality).train != "lora"
            }
        )

    def measure(self, encoder: Encoder, x: Tensor, features_BE: Tensor) -> Tensor:
        """Return 1 − the cosine of the features of each clip and its teacher's, `[B]`; zeros if there is no teacher."""
        if encoder.modality not in self.weights:
            return torch.zeros(len(features_BE), device=features_BE.device)
        with torch.no_grad():
            if encoder.modality in self.teachers:
                target_BE = self.teachers[encoder.modality](x)
            else:
                with without_adapters(encoder):
                    target_BE = encoder(x)
        if features_BE.dtype != torch.float64:
            features_BE, target_BE = features_BE.float(), target_BE.float()
        return 1 - functional.cosine_similarity(features_BE, target_BE, dim=1)
