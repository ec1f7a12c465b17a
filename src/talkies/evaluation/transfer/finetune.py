"""Fine-tuning on a labelled data set: all weights of an encoder are trained, together with a new linear layer.

Shapes: `B` clips, `N` training clips, `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S`
samples, `K` classes.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.utils import clip_grad_norm_

from talkies.clips import cut_audio_windows, cut_video_windows
from talkies.clips.clip_files import ViewSampling, map_in_threads
from talkies.clips.clip_spec import crop_square_at
from talkies.core import Float64s, Int16s, Int64s, Modality, UInt8s, UsageError, to_device
from talkies.core.precision import choose_device
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.transfer.classifier import Classifier, backpropagate, uses_bf16
from talkies.evaluation.transfer.decoded_clips import DecodedClipCache
from talkies.evaluation.transfer.features import Features, TowerFeatures
from talkies.evaluation.transfer.methods import FeatureChoice, TransferMethod
from talkies.evaluation.transfer.probes import ClipScores
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.schedules import PictureAugmentation, compute_rate, plan_epoch
from talkies.training.optimiser import build_optimiser, set_learning_rate
from talkies.training.step import split_into_even_chunks

_TEST_BATCH = 32


class FineTuner(TransferMethod):
    """Fine-tunes a copy of an encoder on each split; all randomness follows from the seed."""

    def __init__(
        self, data: DataSet, features: Features, protocol: Protocol, clips: DecodedClipCache | None = None
    ) -> None:
        """Prepare to fine-tune the encoder of a data set's modality.

        Args:
            data: the data set, of one modality.
            features: the encoder, with its transforms and input.
            protocol: how to fine-tune.
            clips: the cache of another fine-tuner with the same input; a new one if not given.

        Raises:
            UsageError: if the data set has both modalities, `features` has no encoder of its modality, or the protocol
                does not fit the modality or the machine.
        """
        if data.modality == "both":
            raise UsageError(
                f"{data.name} has pictures and sound, and one encoder is fine-tuned at a time; "
                f"choose with --set data.tower=video or --set data.tower=audio"
            )
        if not isinstance(features, TowerFeatures):
            raise UsageError(f"{features.name} has no weights to fine-tune; give encoders")
        features.check((data.modality,))
        if data.modality == "audio" and protocol.finetune.augmentation != PictureAugmentation():
            raise UsageError(
                f"finetune.augmentation is for pictures, and {data.name} has sound; use --protocol finetune-audio"
            )
        self._mixed = uses_bf16(protocol.finetune)
        self._data, self._features, self._protocol = data, features, protocol
        self._modality: Modality = data.modality
        sampling = ViewSampling(features.clip_spec, protocol.clips, protocol.crops)
        memory_bytes = int(protocol.finetune.memory_gb * 1e9)
        self.clips = clips or DecodedClipCache(data, self._modality, sampling, memory_bytes)
        self._device = choose_device()

    def fit_and_score(self, choice: FeatureChoice, split: Split, seed: int) -> ClipScores:
        """Return probabilities of the test clips' windows, after training on a split's training clips."""
        torch.manual_seed(seed)
        train = np.array(split.train)
        if len(train) < 2:
            raise UsageError(
                f"{split.name} of {self._data.name} has a single {choice} clip to learn from; give two or more"
            )
        model = self._build_classifier()
        with model.precision.use_settings(self._device.type, times_convolutions=True):
            loss = self._train(model, train, seed)
        model.eval()
        test_windows = map_in_threads(self.clips.get_windows, split.test)
        with model.precision.use_settings(self._device.type):
            scores = [self._predict(model, windows) for _, windows in test_windows]
        return ClipScores(np.stack(scores), {"last_training_loss": loss})

    def _build_classifier(self) -> Classifier:
        options = self._protocol.finetune
        model = Classifier(
            self._features,
            self._modality,
            len(self._data.classes),
            options.dropout,
            transforms=options.augmentation.apply(self._features.transforms),
            mixed=self._mixed,
        )
        model.encoder.recompute = options.activation_checkpointing
        return model.to(self._device)

    def _train(self, model: Classifier, train_N: Int64s, seed: int) -> float:
        """Train on some examples, and return the mean loss of the last epoch."""
        options = self._protocol.finetune
        steps = len(split_into_even_chunks(len(train_N) * options.clips_per_epoch, options.batch_clips))

        # Only the linear layer learns, at a constant rate.
        optimiser = build_optimiser(model.layer, options.optimiser)
        constant = [options.optimiser.learning_rate] * steps
        for number in range(options.head_epochs):
            random = np.random.default_rng((seed, options.epochs + number))
            self._run_epoch(model, train_N, optimiser, constant, random, learns_encoder=False)

        # All weights learn.
        optimiser, loss = build_optimiser(model, options.optimiser), 0.0
        for epoch in range(options.epochs):
            rates = [compute_rate(epoch * steps + step, steps, options) for step in range(steps)]
            random = np.random.default_rng((seed, epoch))
            loss = self._run_epoch(model, train_N, optimiser, rates, random)
        return loss

    def _run_epoch(
        self,
        model: Classifier,
        train_N: Int64s,
        optimiser: torch.optim.Optimizer,
        rates: Sequence[float],
        random: np.random.Generator,
        *,
        learns_encoder: bool = True,
    ) -> float:
        """Train for one epoch, a step for each of `rates`, and return its mean loss."""
        options = self._protocol.finetune
        order = plan_epoch(train_N, options.clips_per_epoch, random)
        generator = torch.Generator().manual_seed(int(random.integers(1 << 62)))
        model.train()
        mean_loss = torch.zeros((), dtype=torch.float64, device=self._device)  # read once: reading waits for a GPU
        batches = split_into_even_chunks(len(order), options.batch_clips)
        for rate, batch in zip(rates, batches, strict=True):
            set_learning_rate(optimiser, rate)
            numbers = [int(number) for number in order[batch]]
            clips = self._read_random_windows(numbers, random)

            optimiser.zero_grad()
            loss = backpropagate(
                model,
                model.prepare(to_device(clips, self._device), generator),
                partial(self._compute_loss, numbers),
                chunk_clips=options.chunk_clips,
                learns_encoder=learns_encoder,
            )
            if options.optimiser.max_grad_norm:
                clip_grad_norm_(model.parameters(), options.optimiser.max_grad_norm)
            optimiser.step()
            mean_loss += loss * len(clips) / len(order)
        return mean_loss.item()

    def _read_random_windows(self, numbers: Sequence[int], random: np.random.Generator) -> Tensor:
        """Return a random window for each number; clips that are not in memory are read in parallel."""
        draws = [random.random(2) for _ in numbers]  # drawn here, as threads finish in any order
        places = range(len(numbers))
        windows = map_in_threads(lambda place: self._cut_random_window(numbers[place], *draws[place]), places)
        return torch.from_numpy(np.stack([window for _, window in windows]))

    def _cut_random_window(self, number: int, time: float, position: float) -> npt.NDArray[np.generic]:
        """Return a window of a clip: video `[T, P, Z]` or audio `[S]`.

        Args:
            number: the number of the example.
            time: 0 for the first window that fits, up to 1 for the last.
            position: of the square along the long side, from 0 to 1.
        """
        spec, media = self._features.clip_spec, self.clips.get_clip(number)
        if media.video_NPW is not None:
            start_V = np.array([int(time * max(1, len(media.video_NPW) - spec.frames + 1))])
            windows_VTPW = cut_video_windows(media.video_NPW, start_V, spec.frames)
            square_TPZ: UInt8s = crop_square_at(windows_VTPW, position)[0]
            return square_TPZ
        if media.audio_S is not None:
            start_V = np.array([int(time * max(1, len(media.audio_S) - spec.samples + 1))])
            window_S: Int16s = cut_audio_windows(media.audio_S, start_V, spec.samples)[0]
            return window_S
        raise ValueError("neither video nor audio was read")

    @torch.inference_mode()
    def _predict(self, model: Classifier, windows: npt.NDArray[np.generic]) -> Float64s:
        """Return the probabilities `[V, K]` of a clip's windows `[V, R, …]`, averaged over crops."""
        flat = torch.from_numpy(windows.reshape(-1, *windows.shape[2:]))
        logits = torch.cat([model(to_device(batch, self._device)) for batch in torch.split(flat, _TEST_BATCH)])
        probabilities = logits.sigmoid() if self._data.multi_label else logits.softmax(1)
        return probabilities.double().view(*windows.shape[:2], -1).mean(1).cpu().numpy()

    def _compute_loss(self, numbers: Sequence[int], logits_BK: Tensor, chunk: slice) -> Tensor:
        """Return the mean loss of some clips of a batch, whose examples are `numbers`."""
        labels = [self._data.examples[number].labels for number in numbers[chunk]]
        if not self._data.multi_label:
            target_B = to_device(torch.tensor([label for (label,) in labels]), logits_BK.device)
            return cross_entropy(logits_BK, target_B, label_smoothing=self._protocol.finetune.label_smoothing)
        target_BK = torch.zeros(logits_BK.shape)
        for row, clip_labels in enumerate(labels):
            target_BK[row, list(clip_labels)] = 1.0
        return binary_cross_entropy_with_logits(logits_BK, to_device(target_BK, logits_BK.device))
