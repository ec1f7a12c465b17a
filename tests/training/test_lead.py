"""How far ahead of a GPU the training loop may queue its work."""

import pytest
import torch

from talkies.training import loop


class Event:
    """The end of a step on a GPU that never ends by itself."""

    waited: list["Event"]

    def record(self) -> None:
        self.is_recorded = True

    def synchronize(self) -> None:
        assert self.is_recorded
        self.waited.append(self)


def test_it_waits_for_the_step_before_the_last_two(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Event] = []
    Event.waited = []
    monkeypatch.setattr(loop, "_create_event", lambda: made.append(Event()) or made[-1])
    lead = loop._Lead(torch.device("cuda"), steps=2)
    for step in range(5):
        lead.keep()
        assert Event.waited == made[: max(0, step - 1)]


def test_a_processor_has_nothing_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_create_event", lambda: pytest.fail("there is no GPU"))
    loop._Lead(torch.device("cpu")).keep()
