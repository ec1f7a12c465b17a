"""Fine-tuning on a labelled data set: all of an encoder's weights learn on, under a new linear layer.

Shapes: `B` clips, `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S` samples, `K` classes.
"""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.utils import clip_grad_norm_

from talkies.core import Float64s, Int16s, Int64s, Modality, UInt8s, UsageError
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.transfer.clip_spec import cut_video_windows, cut_audio_windows, crop_square_at
from talkies.evaluation.transfer.features import Features, TowerFeatures
from talkies.evaluation.transfer.methods import TransferMethod
from talkies.evaluation.transfer.probes import ClipScores
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.reading import ViewSampling, map_in_threads
from talkies.evaluation.transfer.decoded_clips import DecodedClipCache
from talkies.training.optimiser import build_optimiser, compute_learning_rate, set_learning_rate
from talkies.training.step import split_into_even_chunks
from talkies.transforms import LogMel, VideoTransform

_AT_ONCE = 32


class Classifier(nn.Module):
    """An encoder, dropout, and one linear layer; its input is prepared as the encoder's own is."""

    def __init__(self, features: TowerFeatures, tower: Modality, classes: int, dropout: float) -> None:
        super().__init__()
        encoder = features.video_encoder if tower == "video" else features.audio_encoder
        if encoder is None:
            raise UsageError(f"{features.name} has no {tower} encoder; name a run that has one")
        self.encoder = deepcopy(encoder)
        self.dropout, self.layer = nn.Dropout(dropout), nn.Linear(encoder.out_dim, classes)
        nn.init.normal_(self.layer.weight, std=0.01)
        nn.init.zeros_(self.layer.bias)
        self.prepared: VideoTransform | LogMel
        if tower == "video":
            self.prepared = VideoTransform(features.transforms.video)
        else:
            self.prepared = LogMel(features.transforms.audio, features.clip_spec.audio_rate_hz)

    def forward(self, shown: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return scores `[B, K]` of pictures `[B, T, P, Z]` or sound `[B, S]`; with a generator, augmented."""
        with torch.no_grad():
            prepared = self.prepared(shown, generator)
        scores_BK: Tensor = self.layer(self.dropout(self.encoder(prepared)))
        return scores_BK


class FineTuner(TransferMethod):
    """Fine-tunes an encoder on one split after another; every draw follows from the seed."""

    def __init__(self, data: DataSet, features: Features, protocol: Protocol, clips: DecodedClipCache | None = None) -> None:
        """Take the clips that another fine-tuner was shown alike, or read them at need."""
        if data.modality == "both":
            raise UsageError(
                f"{data.name} has pictures and sound, and one encoder is fine-tuned at a time; "
                f"choose with --set data.tower=video or --set data.tower=audio"
            )
        if not isinstance(features, TowerFeatures):
            raise UsageError(f"{features.name} has no weights to fine-tune; give encoders")
        features.check((data.modality,))
        self._data, self._features, self._protocol = data, features, protocol
        self._tower: Modality = data.modality
        view = ViewSampling(features.clip_spec, protocol.clips, protocol.crops)
        self.clips = clips or DecodedClipCache(data, self._tower, view, int(protocol.finetune.memory_gb * 1e9))
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def scores(self, tower: str, split: Split, seed: int) -> ClipScores:
        """Return probabilities of the test clips' windows, after learning on the training clips of a split."""
        torch.manual_seed(seed)
        dropout = self._protocol.finetune.dropout
        model = Classifier(self._features, self._tower, len(self._data.classes), dropout).to(self._device)
        train = np.array(split.train)
        if len(train) < 2:
            raise UsageError(
                f"{split.name} of {self._data.name} has a single {tower} clip to learn from; give two or more"
            )
        loss = self._learn(model, train, seed)
        model.eval()
        tested = [self._scores(model, shown) for _, shown in map_in_threads(self.clips.windows, split.test)]
        return ClipScores(np.stack(tested), {"last_training_loss": loss})

    def _learn(self, model: Classifier, train: Int64s, seed: int) -> float:
        """Return the mean loss of the last epoch."""
        options = self._protocol.finetune
        optimiser = build_optimiser(model, options.optimiser)
        batches = split_into_even_chunks(len(train), options.batch_clips)
        total, steps = 0.0, options.epochs * len(batches)
        for epoch in range(options.epochs):
            random = np.random.default_rng((seed, epoch))
            order, total = random.permutation(train), 0.0
            generator = torch.Generator().manual_seed(int(random.integers(1 << 62)))
            model.train()
            for number, batch in enumerate(batches):
                step = epoch * len(batches) + number
                set_learning_rate(optimiser, compute_learning_rate(step, steps, options.optimiser))
                numbers = [int(n) for n in order[batch]]
                shown = self._windows(numbers, random)
                loss = self._loss(model(shown.to(self._device), generator), numbers)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                if options.optimiser.max_grad_norm:
                    clip_grad_norm_(model.parameters(), options.optimiser.max_grad_norm)
                optimiser.step()
                total += loss.item() * len(shown) / len(train)
        return total

    def _windows(self, numbers: Sequence[int], random: np.random.Generator) -> Tensor:
        """Return a random window of each clip; those that are not in memory are read side by side."""
        draws = {number: random.random(2) for number in numbers}
        read = dict(map_in_threads(lambda n: self._window(n, *draws[n]), numbers))
        return torch.from_numpy(np.stack([read[number] for number in numbers]))

    def _window(self, number: int, when: float, where: float) -> npt.NDArray[np.generic]:
        """Return pictures `[T, P, Z]` or sound `[S]` at shares of the way to the last window, and to the far side."""
        clip_spec, media = self._features.clip_spec, self.clips.media(number)
        if media.video_NPW is not None:
            start_V = np.array([int(when * max(1, len(media.video_NPW) - clip_spec.frames + 1))])
            square: UInt8s = crop_square_at(cut_video_windows(media.video_NPW, start_V, clip_spec.frames), where)[0]
            return square
        if media.audio_S is None:
            raise ValueError("neither pictures nor sound were read")
        start_V = np.array([int(when * max(1, len(media.audio_S) - clip_spec.samples + 1))])
        heard: Int16s = cut_audio_windows(media.audio_S, start_V, clip_spec.samples)[0]
        return heard

    @torch.inference_mode()
    def _scores(self, model: Classifier, shown: npt.NDArray[np.generic]) -> Float64s:
        """Return the probabilities `[V, K]` of a clip's windows, the mean over crops."""
        flat = torch.from_numpy(shown.reshape(-1, *shown.shape[2:]))
        scores = torch.cat([model(part.to(self._device)) for part in torch.split(flat, _AT_ONCE)])
        likely = scores.sigmoid() if self._data.multi_label else scores.softmax(1)
        return likely.double().view(*shown.shape[:2], -1).mean(1).cpu().numpy()

    def _loss(self, scores_BK: Tensor, numbers: Sequence[int]) -> Tensor:
        labels = [self._data.examples[number].labels for number in numbers]
        if not self._data.multi_label:
            target = torch.tensor([label for (label,) in labels], device=scores_BK.device)
            return cross_entropy(scores_BK, target, label_smoothing=self._protocol.finetune.label_smoothing)
        target_BK = torch.zeros_like(scores_BK)
        for row, some in enumerate(labels):
            target_BK[row, list(some)] = 1.0
        return binary_cross_entropy_with_logits(scores_BK, target_BK)
