"""The queues of keys: what enters and leaves, what is looked up, and which keys are negatives."""

from collections import defaultdict, deque
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_contrastive import embeddings_of

from talkies.core import Embeddings
from talkies.objectives import BatchKeys, ContrastiveObjective, FilmQueue, ObjectiveConfig

batches = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=7), min_size=1, max_size=6)


def keys_of(films: list[int], first: int) -> Embeddings:
    """Keys whose numbers, and whose starts, count on from the first."""
    count_B = torch.arange(first, first + len(films))
    rows_BD = count_B[:, None].double().expand(-1, 2)
    return Embeddings(rows_BD, -rows_BD, torch.tensor(films), count_B)


def starts_by_film(keys: Embeddings) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for film, start in zip(keys.film_B.tolist(), keys.start_B.tolist(), strict=True):
        found[film].append(start)
    return dict(found)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(batches=batches, length=st.integers(1, 6))
def test_each_film_has_its_newest_keys_in_their_order(batches: list[list[int]], length: int) -> None:
    queue, expected, first = FilmQueue(length), defaultdict[int, deque[int]](lambda: deque(maxlen=length)), 0
    for films in batches:
        before = {film: list(expected[film]) for film in films if expected[film]}
        found = queue.look_up(keys_of(films, first))
        assert starts_by_film(found) == before
        known = queue.look_up_starts(np.array(films, np.int64))  # the same, without reading it from a device
        assert (known.film_N.tolist(), known.start_N.tolist()) == (found.film_B.tolist(), found.start_B.tolist())
        queue.append(keys_of(films, first))
        for film in films:
            expected[film].append(first)
            first += 1

    assert len(queue) == sum(map(len, expected.values()))
    every = queue.look_up(keys_of([0, 1, 2, 3, 4], 0))
    assert starts_by_film(every) == {film: list(starts) for film, starts in expected.items() if starts}
    assert torch.equal(every.video_BD[:, 1], every.start_B.double())
    assert torch.equal(every.audio_BD[:, 0], -every.start_B.double())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(batches=batches, more=batches, length=st.integers(1, 6))
def test_a_restored_queue_goes_on_as_the_one_that_was_saved(
    batches: list[list[int]], more: list[list[int]], length: int
) -> None:
    queue, restored = FilmQueue(length), FilmQueue(length)
    for number, films in enumerate(batches):
        queue.append(keys_of(films, 10 * number))
    restored.append(keys_of([7, 8], 0))  # what was there before is gone
    restored.load_state_dict(queue.state_dict())
    for number, films in enumerate(more):
        for each in (queue, restored):
            each.append(keys_of(films, 100 + 10 * number))
    state, other = queue.state_dict(), restored.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in state.items())


def test_an_empty_queue_is_restored_as_one() -> None:
    queue = FilmQueue(3)
    assert (queue.state_dict(), len(queue)) == ({}, 0)
    assert len(queue.look_up(keys_of([0, 0], 0))) == 0
    queue.append(keys_of([0], 0))
    queue.load_state_dict({})
    assert len(queue) == 0


@pytest.mark.parametrize("name", ["video", "audio", "film", "start"])
def test_a_queue_of_which_a_part_is_missing_is_refused(name: str) -> None:
    queue = FilmQueue(3)
    queue.append(keys_of([0, 1], 0))
    state = queue.state_dict()
    del state[name]
    with pytest.raises(ValueError, match=f"^its queue lacks {name}$"):
        FilmQueue(3).load_state_dict(state)


def test_a_queue_keeps_no_graph_and_no_more_memory_than_its_keys() -> None:
    queue = FilmQueue(3)
    for _ in range(4):
        queue.append(embeddings_of([0, 1, 0, 0, 0, 0]))
    found = queue.look_up(embeddings_of([0]))
    assert not found.video_BD.requires_grad
    held = [part for film in queue._films.values() for part in (film.video_BD, film.audio_BD)]
    assert [part.untyped_storage().nbytes() for part in held] == [part.nbytes for part in held]


def count_negatives(
    setting: dict[str, Any], *, query: int, queued: int, other_film: bool = False, fps: int = 10, window: int = 8
) -> float:
    """The negatives of one clip, with one key in the queue that begins somewhere; its own key is its positive."""
    config = ObjectiveConfig(queue_clips_per_film=4, **setting)
    own = embeddings_of([0], [query])
    keys = BatchKeys((embeddings_of([0], [query]),), embeddings_of([int(other_film)], [queued]))
    return ContrastiveObjective(config, fps, window_frames=window).double()([own], 0, keys).report["negatives"].item()


@pytest.mark.parametrize(
    ("setting", "far"),
    [
        ({}, 8),  # clips of 8 frames overlap until then
        ({"mask_nearer_than_seconds": 0.5}, 8),
        ({"mask_nearer_than_seconds": 1.1}, 11),
        ({"within_film_positives_seconds": 0.5}, 8),
        ({"within_film_positives_seconds": 1.0}, 11),  # up to 10 frames a clip of the batch would be a positive
        ({"within_film_positives_seconds": 1.0, "mask_nearer_than_seconds": 1.5}, 15),
    ],
)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("block", [None, 1])
def test_keys_that_may_show_the_same_moment_are_no_negatives(
    setting: dict[str, float], far: int, sign: int, block: int | None
) -> None:
    setting = {**setting, "block_clips": block}
    for distance in (0, 1, far - 1):
        assert count_negatives(setting, query=100, queued=100 + sign * distance) == 0
    for distance in (far, far + 1):
        assert count_negatives(setting, query=100, queued=100 + sign * distance) == 1


@pytest.mark.parametrize(("negatives", "count"), [("own_film", 0), ("batch_films", 1)])
def test_keys_of_other_films_are_negatives_only_if_the_config_says_so(negatives: str, count: int) -> None:
    for queued in (100, 300):
        assert count_negatives({"queue_negatives": negatives}, query=100, queued=queued, other_film=True) == count


def test_a_key_of_the_queue_that_matches_better_than_the_positive_makes_the_query_fail() -> None:
    own = embeddings_of([0], [0])
    keys = embeddings_of([0], [0])
    better = Embeddings(own.audio_BD, own.video_BD, torch.tensor([0]), torch.tensor([50]))
    objective = ContrastiveObjective(ObjectiveConfig(queue_clips_per_film=4), 10, window_frames=8).double()
    none = Embeddings(*(part[:0] for part in (keys.video_BD, keys.audio_BD, keys.film_B, keys.start_B)))
    alone, beside = (objective([own], 0, BatchKeys((keys,), queued)) for queued in (none, better))
    assert alone.losses["contrastive"].item() == 0
    assert alone.report["accuracy_within_film"] == 1
    assert beside.losses["contrastive"] > 0
    own_keys = BatchKeys((Embeddings(own.audio_BD, own.video_BD, own.film_B, own.start_B),), better)
    assert objective([own], 0, own_keys).report["accuracy_within_film"] == 0  # a tie


def test_keys_and_the_config_must_agree() -> None:
    own = embeddings_of([0, 1])
    keys = BatchKeys((own,), embeddings_of([]))
    sentence = r"^keys are given exactly if objective\.queue_clips_per_film is set$"
    with pytest.raises(ValueError, match=sentence):
        ContrastiveObjective(ObjectiveConfig())([own], 0, keys)
    with pytest.raises(ValueError, match=sentence):
        ContrastiveObjective(ObjectiveConfig(queue_clips_per_film=2))([own], 0)
