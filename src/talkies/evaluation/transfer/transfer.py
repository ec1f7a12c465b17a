"""Measure transfer to a labelled data set: train on the training clips of its published splits, score the test clips.

Shapes: `N` examples, `V` windows of each, `E` features, `K` classes.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from talkies.core import UsageError, format_count
from talkies.evaluation.datasets import DataSet, Split, check_published
from talkies.evaluation.results.result import Result
from talkies.evaluation.transfer.extract import ExtractedFeatures, OnClip, extract_all_features
from talkies.evaluation.transfer.features import Features
from talkies.evaluation.transfer.finetune import FineTuner
from talkies.evaluation.transfer.leakage import check_leakage
from talkies.evaluation.transfer.methods import FrozenProbe, TransferMethod
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.protocol_text import describe_data, describe_protocol
from talkies.evaluation.transfer.scoring import Scores, compare_scores, count_fits, score_method, summarise_scores
from talkies.evaluation.transfer.zeroshot import EmbeddingFeatures, ZeroShot


def check_complete(data: DataSet, unusable: Mapping[int, str], allow_missing: bool) -> None:
    """Check that every listed clip exists and can be used, or that any can if some may be missing.

    Args:
        data: the data set.
        unusable: why clips cannot be used, by the numbers of their examples.
        allow_missing: whether clips may be missing or unusable.

    Raises:
        UsageError: with the number of such clips and the first of them, or if no clip is left.
    """
    listed, absent = len(data.examples), len(data.absent)
    if absent + len(unusable) >= listed:
        if listed:
            reason = next(iter(unusable.values()), None) or f"{data.get_path(0)} does not exist"
        else:
            reason = "its lists are empty"
        raise UsageError(f"{data.name} in {data.root} has no clip that can be used: {reason}")
    if allow_missing:
        return

    clips = format_count(listed, "clip")
    if absent:
        first = data.examples[min(data.absent)].path
        raise UsageError(
            f"{data.root} lacks {absent} of the {clips} of {data.name}, {first} first; fetch "
            f"what is missing, or give --allow-missing to go on without"
        )
    if unusable:
        number = min(unusable)
        raise UsageError(
            f"{len(unusable)} of the {clips} of {data.name} cannot be used, {data.examples[number].path} "
            f"first: {unusable[number]}; fetch them again, or give --allow-missing to go on without"
        )


def measure_transfer(
    data: DataSet,
    arms: Sequence[Features],
    protocol: Protocol,
    *,
    cache_folder: Path | None = None,
    allow_missing: bool = False,
    on_clip: OnClip | None = None,
) -> Result:
    """Return how well classes can be recognised from each of several features, `arms`.

    Args:
        data: the data set; of both modalities, each of them and the two joined are measured.
        arms: the features that are measured, then those of the baselines.
        protocol: how to measure.
        cache_folder: where features are cached.
        allow_missing: whether clips may be missing or unusable.
        on_clip: called after each clip and each training.

    Raises:
        UsageError: if the data set is not complete, leaks from test to training, or has a modality that an arm cannot
            encode.
    """
    # check what can be checked before the work: all but the bytes of the clips
    if not allow_missing:
        check_published(data)
    check_complete(data, {}, allow_missing)
    learns = protocol.method != "zeroshot"  # what learns nothing cannot leak
    if learns:
        check_leakage(data, {}, protocol.drop_overlap)
    for arm in arms:
        arm.check(data.modalities)

    # read the clips, and check again
    methods, extracted = _build_methods(data, arms, protocol, cache_folder, on_clip)
    check_complete(data, extracted.unusable, allow_missing)
    splits, dropped = check_leakage(data, extracted.keys, protocol.drop_overlap) if learns else (data.splits, 0)
    splits = _keep_usable(splits, extracted, learns=learns)

    # train and score
    scores: dict[str, Scores] = {}
    chosen: dict[str, Any] = {}
    for arm, method in zip(arms, methods, strict=True):

        def report_fit(words: str, name: str = arm.name) -> None:
            if on_clip:
                on_clip(f"learnt by {name}: {words}", len(arms) * count_fits(data, splits, protocol))

        scores[arm.name], chosen[arm.name] = score_method(data, splits, protocol, method, report_fit)

    how = describe_protocol(protocol, arms[0], data)
    (_, measured), *baselines = scores.items()
    return Result(
        task=data.name,
        protocol=how | describe_data(data, extracted, splits, dropped, learns=learns) | {"chosen": chosen},
        metrics=summarise_scores(data, measured),
        baselines={name: summarise_scores(data, own) for name, own in baselines},
        detectable={name: compare_scores(data, measured, own) for name, own in baselines},
        hashes={f"features of {arm.name}": arm.stamp for arm in arms} | data.hash_lists() | _hash_clips(extracted),
    )


def _build_methods(
    data: DataSet, arms: Sequence[Features], protocol: Protocol, cache_folder: Path | None, on_clip: OnClip | None
) -> tuple[list[TransferMethod], ExtractedFeatures]:
    """Return the method of each arm, and which clips can be used, which is the same for all arms."""
    if protocol.method != "finetune":
        extracted = extract_all_features(data, arms, protocol, cache_folder, on_clip)
        if protocol.method == "zeroshot":
            pairs = zip(extracted, arms, strict=True)
            return [ZeroShot(data, own, _check_words(arm), protocol) for own, arm in pairs], extracted[0]
        return [FrozenProbe(data, features, protocol) for features in extracted], extracted[0]
    first = FineTuner(data, arms[0], protocol)
    caches = {arms[0].clip_spec: first.clips}  # arms with the same input share decoded clips
    tuners = [FineTuner(data, arm, protocol, caches.get(arm.clip_spec)) for arm in arms]
    return [*tuners], first.clips.read_all(on_clip)


def _check_words(features: Features) -> EmbeddingFeatures:
    """Check that features can be compared with words.

    Raises:
        UsageError: if they cannot.
    """
    if not isinstance(features, EmbeddingFeatures):
        raise UsageError(f"{features.name} has no words to compare with; give the embeddings of a model that has some")
    return features


def _keep_usable(splits: Sequence[Split], extracted: ExtractedFeatures, *, learns: bool) -> tuple[Split, ...]:
    """Return the splits without the clips that cannot be used."""

    def keep(numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(number for number in numbers if number in extracted.features)

    usable = tuple(Split(split.name, keep(split.train), keep(split.test), keep(split.select)) for split in splits)
    for split in usable:
        if (learns and not split.train) or not split.test:
            raise UsageError(f"{split.name} has no clip left to {'test on' if not split.test else 'learn from'}")
    return usable


def _hash_clips(extracted: ExtractedFeatures) -> dict[str, str]:
    text = "".join(f"{number} {key}\n" for number, key in sorted(extracted.keys.items()))
    return {"clips": blake2b(text.encode(), digest_size=8).hexdigest()}
