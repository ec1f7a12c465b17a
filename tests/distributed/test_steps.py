"""Training steps in one pass and in two, on one rank and on two: the same gradients and augmentations."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from one_step import CHUNKS
from ranks import close, run_ranks
from small_system import (
    FILMS,
    KNOBS,
    SEED,
    STARTS,
    STEP,
    augmentations_of,
    batch_of,
    gradients_of,
    looks,
    plain_step,
    share_of,
    stepper_of,
    system_of,
)
from torch import nn

from talkies.core import ClipBatch, Embeddings
from talkies.objectives import ContrastiveObjective
from talkies.objectives.contrastive import ObjectiveOutput
from talkies.training.step import split_into_even_chunks, split_into_strided_chunks
from talkies.training.system import ContrastiveSystem, View
from talkies.transforms import Augmentation
from talkies.transforms.transform import ModelInput

pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.ranks]

WRAPPED = [(strategy, chunk) for strategy, chunks in CHUNKS.items() for chunk in chunks]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks left."""
    return run_ranks("one_step", (2,), tmp_path_factory.mktemp("steps"))[2]


@pytest.fixture(scope="module")
def alone() -> Fabric:
    """Fabric for one process."""
    return Fabric(accelerator="cpu", devices=1)


@pytest.mark.parametrize("chunk", [1, 3, 5, 7, 8, 100])
@pytest.mark.parametrize("knobs", KNOBS)
def test_gradients_in_two_passes_are_those_in_one(knobs: str, chunk: int, alone: Fabric) -> None:
    expected, system, batch = plain_step(KNOBS[knobs]), system_of(KNOBS[knobs]), batch_of()
    stepper = stepper_of(alone, system, chunk)
    numbers = stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)
    close(gradients_of(system), expected["gradients"], relative=1e-5)
    for name, value in expected["numbers"].items():
        torch.testing.assert_close(numbers[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [None, 3])
def test_the_objective_is_told_which_film_each_clip_is_of_and_where_it_begins(
    chunk: int | None, alone: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, batch, received = system_of(KNOBS["two views"]), batch_of(), []
    judge = system.objective.forward
    monkeypatch.setattr(system.objective, "forward", lambda views, *rest: received.extend(views) or judge(views, *rest))
    stepper = stepper_of(alone, system, chunk)
    stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)
    assert [view.film_B.tolist() for view in received] == [FILMS] * 2
    assert [view.start_B.tolist() for view in received] == [STARTS] * 2


@pytest.mark.parametrize(("strategy", "chunk"), WRAPPED)
@pytest.mark.parametrize("knobs", KNOBS)
def test_gradients_on_two_ranks_are_those_of_the_global_batch(
    knobs: str, strategy: str, chunk: int | None, two: list[dict[str, Any]]
) -> None:
    for results in two:
        expected, got = results["plain"][knobs]["gradients"], results[f"{strategy} {chunk} {knobs}"]
        close(got["gradients"], expected, relative=1e-5)
        length = math.sqrt(sum(gradient.square().sum().item() for gradient in expected.values()))
        assert got["numbers"]["gradient_norm"].item() == pytest.approx(length, rel=1e-5)


@pytest.mark.parametrize(("strategy", "chunk"), WRAPPED)
@pytest.mark.parametrize("knobs", KNOBS)
def test_the_mean_of_two_ranks_losses_is_the_loss_of_the_global_batch(
    knobs: str, strategy: str, chunk: int | None, two: list[dict[str, Any]]
) -> None:
    for name in ("loss", "cross_entropy", "loss_within_film", "norm_video"):
        mean = torch.stack([results[f"{strategy} {chunk} {knobs}"]["numbers"][name] for results in two]).mean()
        torch.testing.assert_close(mean, two[0]["plain"][knobs]["numbers"][name], rtol=1e-5, atol=0)


@pytest.mark.parametrize("strategy", CHUNKS)
def test_the_temperature_itself_is_bounded_under_each_wrapper(strategy: str, two: list[dict[str, Any]]) -> None:
    for results in two:
        assert results[f"{strategy} bounded"].item() == pytest.approx(math.log(0.01))


def test_each_clip_is_augmented_alike_on_however_many_ranks(two: list[dict[str, Any]]) -> None:
    system = system_of(KNOBS["two views"])
    all_looks = looks(augmentations_of(system, batch_of()))
    assert len(all_looks) == 2 * (5 + 4 + 3)
    groups = [[looks(augmentations_of(system, share_of(rank, n), rank, n)) for rank in range(n)] for n in (2, 4, 8)]
    for group in (*groups, [results["looks"] for results in two]):
        joined = [torch.cat(parts) for parts in zip(*group, strict=True)]
        assert all(map(torch.equal, joined, all_looks))


def test_clips_views_and_steps_are_augmented_each_in_its_own_way() -> None:
    system, batch = system_of(KNOBS["two views"]), batch_of()
    first, second = augmentations_of(system, batch)
    assert len(first.video.crops.top_B.unique()) == len(FILMS)
    assert not torch.equal(first.video.crops.top_B, second.video.crops.top_B)
    stepper = stepper_of(Fabric(accelerator="cpu", devices=1), system, None)
    seeds_and_steps = (5, 3), (5, 4), (6, 3)
    drawn = [stepper.draw_augmentations(batch, *key)[0].video.crops.top_B for key in seeds_and_steps]
    assert torch.equal(drawn[0], first.video.crops.top_B)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def norms_of(system: nn.Module) -> list[nn.BatchNorm1d]:
    return [part for part in system.modules() if isinstance(part, nn.BatchNorm1d)]


def test_batch_norms_see_chunks_and_learn_each_of_them_once(alone: Fabric) -> None:
    system, twin, batch = (*(system_of(KNOBS["plain"], still=False) for _ in range(2)), batch_of())
    stepper = stepper_of(alone, system, 3)
    augmentations = stepper.draw_augmentations(batch, SEED, STEP)
    stepper.backward(batch, augmentations, STEP)
    for chunk in (slice(0, 8, 3), slice(1, 8, 3), slice(2, 8, 3)):
        twin.encode(batch[chunk], [augmentation[chunk] for augmentation in augmentations])
    for norm, expected in zip(norms_of(system), norms_of(twin), strict=True):
        assert norm.num_batches_tracked == expected.num_batches_tracked == 3
        torch.testing.assert_close(norm.running_mean, expected.running_mean, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(norm.running_var, expected.running_var, rtol=1e-6, atol=1e-7)


def test_the_loss_in_two_passes_is_that_of_embeddings_that_saw_chunks(alone: Fabric) -> None:
    system, twin, batch = (*(system_of(KNOBS["terms"], still=False) for _ in range(2)), batch_of())
    stepper = stepper_of(alone, system, 4)
    augmentations = stepper.draw_augmentations(batch, SEED, STEP)
    got = stepper.backward(batch, augmentations, STEP)["loss"]
    parts = [twin.encode(batch[each], [a[each] for a in augmentations])[0] for each in (slice(0, 8, 2), slice(1, 8, 2))]
    pairs = {name: [getattr(part, name) for part in parts] for name in parts[0]._fields}
    all_clips = parts[0]._replace(**{name: torch.stack(pair, 1).flatten(0, 1) for name, pair in pairs.items()})
    loss = twin.objective([all_clips.embeddings], STEP).losses["contrastive"]
    torch.testing.assert_close(got, loss.detach(), rtol=1e-6, atol=0)
    loss.backward()
    close(gradients_of(system), gradients_of(twin), relative=1e-5)


def test_two_steps_add_their_gradients_up(alone: Fabric) -> None:
    expected, system, batch = plain_step(KNOBS["terms"])["gradients"], system_of(KNOBS["terms"]), batch_of()
    stepper = stepper_of(alone, system, 3)
    for _ in range(2):
        stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)
    close(gradients_of(system), {name: 2 * gradient for name, gradient in expected.items()}, relative=1e-5)


@pytest.mark.parametrize("knobs", KNOBS)
@pytest.mark.parametrize("chunk", [2, 3, 4, 5])
def test_in_double_precision_chunks_give_the_embeddings_and_gradients_of_the_whole_batch_in_its_order(
    knobs: str, chunk: int, alone: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[list[Embeddings]] = []
    judge = ContrastiveObjective.forward

    def forward(objective: ContrastiveObjective, views: list[Embeddings], *rest: Any) -> ObjectiveOutput:
        received.append(views)
        return judge(objective, views, *rest)

    monkeypatch.setattr(ContrastiveObjective, "forward", forward)
    systems = [in_double_precision(system_of(KNOBS[knobs])) for _ in range(2)]
    for system, clips in zip(systems, (None, chunk), strict=True):
        stepper, batch = stepper_of(alone, system, clips), batch_of()
        stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)

    whole, in_chunks = (gradients_of(system) for system in systems)
    assert {gradient.dtype for name, gradient in whole.items() if name.startswith("model.")} == {torch.float64}
    close(in_chunks, whole, relative=1e-10)
    for one, other in zip(*received, strict=True):
        torch.testing.assert_close(
            (one.video_BD, one.audio_BD), (other.video_BD, other.audio_BD), rtol=1e-10, atol=1e-12
        )
        assert one.start_B.tolist() == other.start_B.tolist() == STARTS


def in_double_precision(system: ContrastiveSystem) -> ContrastiveSystem:
    """The system with weights, and inputs of its encoders, in double precision."""
    system.double()
    prepare = system.transform.prepare

    def prepare_double(batch: ClipBatch, augmentation: Augmentation | None = None) -> ModelInput:
        ready = prepare(batch, augmentation)
        return ModelInput(ready.video_BCTHW.double(), ready.audio_B1FL.double())

    system.transform.prepare = prepare_double  # type: ignore[method-assign]
    return system


@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 300))
def test_each_chunk_has_clips_of_as_many_films_as_can_be(films: int, clips_per_film: int, most: int) -> None:
    film_N = np.repeat(np.arange(films), clips_per_film)
    for chunk in split_into_strided_chunks(len(film_N), most):
        assert len(np.unique(film_N[chunk])) == min(films, len(film_N[chunk]))


@given(st.integers(2, 300), st.integers(2, 300))
def test_strided_chunks_have_every_clip_once_and_the_lengths_of_even_ones(clips: int, most: int) -> None:
    chunks = [range(clips)[chunk] for chunk in split_into_strided_chunks(clips, most)]
    assert sorted(place for chunk in chunks for place in chunk) == list(range(clips))
    even = [chunk.stop - chunk.start for chunk in split_into_even_chunks(clips, most)]
    assert sorted(map(len, chunks)) == sorted(even)


def test_a_norm_sees_every_film_of_the_batch_in_each_chunk(alone: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    system, batch = system_of(KNOBS["plain"], still=False), batch_of()
    batch = ClipBatch(batch.requests, batch.video_BTPW, batch.audio_BS, torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]))
    seen: list[list[int]] = []
    encode = ContrastiveSystem.encode

    def encoded(system: ContrastiveSystem, part: ClipBatch, augmentations: list[Augmentation]) -> tuple[View, ...]:
        seen.append(part.film_B.tolist())
        return encode(system, part, augmentations)

    monkeypatch.setattr(ContrastiveSystem, "encode", encoded)
    stepper = stepper_of(alone, system, 4)
    stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)
    assert seen == [[0, 0, 1, 1]] * 4  # two chunks, each encoded twice


@given(st.integers(2, 300), st.integers(2, 300))
def test_chunks_are_even_whole_and_never_of_one_clip(clips: int, most: int) -> None:
    chunks = split_into_even_chunks(clips, most)
    lengths = [chunk.stop - chunk.start for chunk in chunks]
    assert [place for chunk in chunks for place in range(chunk.start, chunk.stop)] == list(range(clips))
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 2
    assert max(lengths) <= max(most, 3)
