"""Where along the long side a clip's square is: anywhere, drawn last, or in the middle."""

from dataclasses import replace

import numpy as np
from small_films import alike

from talkies.sampling import BatchPlan, SamplingConfig


def plan_with(crop_position: str, seed: int = 3) -> BatchPlan:
    config = SamplingConfig.model_validate(
        {"films_per_batch": 8, "clips_per_film": 2, "crop_position": crop_position, "positives_within_seconds": 1.0}
    )
    return BatchPlan(alike(8, 400), config, 16, 16, seed)


def test_places_are_spread_evenly_and_depend_on_seed_and_step_alone() -> None:
    plan = plan_with("random")
    places = np.array([request.place for step in range(200) for request in plan.draw_batch(step)])
    counts, _ = np.histogram(places, 10, (0, 1))
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 27.9  # χ², 9 degrees of freedom, 0.1 %
    assert list(plan_with("random").draw_batch(7)) == list(plan.draw_batch(7))
    assert list(plan_with("random", seed=4).draw_batch(7)) != list(plan.draw_batch(7))


def test_the_middle_square_leaves_films_clips_and_sound_as_they_are() -> None:
    anywhere, middle = plan_with("random").draw_batch(5), plan_with("centre").draw_batch(5)
    assert {request.place for request in middle} == {0.5}
    assert [replace(request, place=0.5) for request in anywhere] == list(middle)


def test_a_rank_and_a_part_have_the_places_of_their_clips() -> None:
    batch = plan_with("random").draw_batch(5)
    assert [*batch.select_rank(0, 2), *batch.select_rank(1, 2)] == list(batch)
    assert [request for part in batch.split_by_film(4) for request in part] == list(batch)
