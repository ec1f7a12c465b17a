"""Which features the planned steps need, and which of them are missing."""

from collections.abc import Sequence
from dataclasses import dataclass

from talkies.core import MODALITIES, ClipRequest, Modality
from talkies.sampling import BatchPlan
from talkies.training.features.views import choose_views, find_key

Views = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """Which views of a clip each step takes.

    Attributes:
        seed: the seed of the run.
        views: the number of views of each clip; 0 for the one that is not augmented.
        count: how many of them a step takes.
    """

    seed: int
    views: int
    count: int

    def choose(self, requests: Sequence[ClipRequest], step: int) -> list[list[int]]:
        """Return the numbers of the views of each clip: `count` lists, one number for each clip."""
        return choose_views(requests, self.seed, step, views=self.views, count=self.count)


def list_wanted(plan: BatchPlan, steps: range, views: ViewPlan) -> dict[ClipRequest, Views]:
    """Return every clip that is in the batches of `steps`, in the order of films and times, with the views needed."""
    wanted: dict[ClipRequest, set[int]] = {}
    for step in steps:
        requests = list(plan.draw_batch(step))
        for numbers in views.choose(requests, step):
            for request, number in zip(requests, numbers, strict=True):
                wanted.setdefault(request, set()).add(number)
    return {request: tuple(sorted(wanted[request])) for request in sorted(wanted)}


def assign_modalities(wanted: dict[ClipRequest, Views]) -> dict[ClipRequest, dict[Modality, Views]]:
    """Return which views of each clip each tower has to encode: what two clips share, the first of them brings."""
    seen: set[object] = set()
    assigned: dict[ClipRequest, dict[Modality, Views]] = {}
    for request, numbers in wanted.items():
        needed: dict[Modality, Views] = {}
        for modality in MODALITIES:
            keys = {number: (modality, request.film_id, find_key(request, number, modality)) for number in numbers}
            needed[modality] = tuple(number for number, key in keys.items() if key not in seen)
            seen.update(keys.values())
        assigned[request] = needed
    return assigned
