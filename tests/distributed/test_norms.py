"""Batch norms of several ranks: the statistics of all their clips, and running statistics on which they agree."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from one_norm import SHAPES, fill, rows_of, running_of, weighted
from ranks import close, run_ranks
from small_system import KNOBS, SEED, STEP, augmentations_of, batch_of, gradients_of, share_of, stepper_of, system_of
from torch import Tensor, nn

from talkies.training.batch_norms import (
    StatisticsCollector,
    SynchronisedBatchNorm,
    list_batch_norms,
    synchronise_batch_norms,
)
from talkies.training.step import Stepper
from talkies.training.system import ContrastiveSystem

pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.ranks]

Results = list[dict[str, Any]]
KINDS = {"vectors": nn.BatchNorm1d, "pictures": nn.BatchNorm2d, "videos": nn.BatchNorm3d}


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Results]:
    """What each rank of groups of two and four left."""
    return run_ranks("one_norm", (2, 4), tmp_path_factory.mktemp("norms"))


@pytest.fixture(params=[2, 4], ids=["two ranks", "four ranks"])
def group(request: pytest.FixtureRequest, groups: dict[int, Results]) -> Results:
    """What each rank of a group left."""
    return groups[request.param]


@pytest.fixture(scope="module")
def alone() -> Fabric:
    """Fabric for one process."""
    return Fabric(accelerator="cpu", devices=1)


@pytest.mark.parametrize("name", SHAPES)
def test_a_norm_over_ranks_is_pytorchs_over_all_their_clips(name: str, group: Results) -> None:
    norm, rows = KINDS[name](5).double(), rows_of(name).requires_grad_()
    fill(norm)
    output = norm(rows)
    weighted(output, slice(None)).backward()
    got = [results["norms"][name] for results in group]

    near = {"rtol": 1e-10, "atol": 1e-11}
    torch.testing.assert_close(torch.cat([each["output"] for each in got]), output.detach(), **near)
    torch.testing.assert_close(torch.cat([each["input"] for each in got]), rows.grad, **near)
    for key in ("weight", "bias"):
        torch.testing.assert_close(sum(each[key] for each in got), getattr(norm, key).grad, **near)
    for each in got:
        for key in ("running_mean", "running_var"):
            torch.testing.assert_close(each[key], getattr(norm, key), **near)


@pytest.mark.parametrize("name", SHAPES)
def test_in_one_process_a_synchronised_norm_is_pytorchs(name: str) -> None:
    one, other = KINDS[name](5).double(), SynchronisedBatchNorm(5).double()
    for norm in (one, other):
        fill(norm)
    rows = rows_of(name)
    torch.testing.assert_close(other(rows), one(rows), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(other.state_dict(), one.state_dict(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(other.eval()(rows), one.eval()(rows), rtol=1e-12, atol=1e-12)


def stepped_alone(fabric: Fabric, chunk: int | None) -> ContrastiveSystem:
    """The system of one process after the same two steps on the whole batch."""
    system, batch = system_of(KNOBS["terms"], still=False), batch_of()
    stepper = stepper_of(fabric, system, chunk)
    for _ in range(2):
        system.zero_grad()
        stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)
    return system


@pytest.mark.parametrize(("chunk", "alike"), [(None, None), (2, 4)])
def test_two_ranks_have_the_gradients_and_statistics_of_one(
    chunk: int | None, alike: int | None, groups: dict[int, Results], alone: Fabric
) -> None:
    """In chunks of two clips, both ranks together see the chunks of four that one process sees."""
    expected = stepped_alone(alone, alike)
    for results in groups[2]:
        got = results[f"synchronised {chunk}"]
        close(got["gradients"], gradients_of(expected), relative=1e-5)
        torch.testing.assert_close(got["running"], running_of(expected), rtol=1e-5, atol=1e-7)


def test_synchronised_ranks_agree_on_their_statistics_to_the_last_bit(group: Results) -> None:
    for name in ("synchronised None", "synchronised 2"):
        assert all(same(results[name]["running"], group[0][name]["running"]) for results in group)


def test_no_rank_hands_its_statistics_to_the_others_and_they_are_averaged_when_asked(group: Results) -> None:
    running = [results["apart"]["running"] for results in group]
    for rank, own in enumerate(running):
        system, batch = system_of(KNOBS["terms"], still=False), share_of(rank, len(group))
        for _ in range(2):
            system.encode(batch, augmentations_of(system, batch, rank, len(group)))
        torch.testing.assert_close(own, running_of(system), rtol=1e-5, atol=1e-7)
    assert not same(running[0], running[1])

    for results in group:
        assert same(results["apart"]["averaged"], group[0]["apart"]["averaged"])
        for name, tensor in results["apart"]["averaged"].items():
            torch.testing.assert_close(tensor, torch.stack([each[name] for each in running]).mean(0))


def test_collected_statistics_are_those_of_all_clips_of_all_batches_and_ranks(group: Results) -> None:
    inputs: dict[str, list[Tensor]] = {}
    system = system_of(KNOBS["terms"], still=False)
    names = {norm: name for name, norm in system.named_modules() if norm in list_batch_norms(system)}
    for norm, name in names.items():
        norm.register_forward_pre_hook(lambda _, args, name=name: inputs.setdefault(name, []).append(args[0].detach()))
    for rank in range(len(group)):
        batch = share_of(rank, len(group))
        stepper = stepper_for(system, rank, len(group))
        for step in (0, 1, 2):
            system.encode(batch, stepper.draw_augmentations(batch, SEED, step)[:1])

    for results in group:
        for name, received in inputs.items():
            rows = torch.cat(received).double()
            mean, var = (results["collected"][f"{name}.running_{which}"].double() for which in ("mean", "var"))
            torch.testing.assert_close(mean, rows.mean(0), rtol=1e-5, atol=1e-7)
            torch.testing.assert_close(var, rows.var(0), rtol=1e-5, atol=1e-9)
        assert same(results["collected"], group[0]["collected"])


def test_collecting_leaves_weights_counters_and_running_statistics_until_they_are_written(alone: Fabric) -> None:
    system, batch = system_of(KNOBS["plain"], still=False), batch_of()
    stepper, before = stepper_of(alone, system, 3), {n: t.clone() for n, t in system.state_dict().items()}
    collector = StatisticsCollector(system)
    with collector.collect():
        stepper.encode(batch, stepper.draw_augmentations(batch, SEED, STEP))
    assert same(dict(system.state_dict()), before)
    collector.write()
    after = dict(system.state_dict())
    assert {name for name in before if not torch.equal(after[name], before[name])} == set(running_of(system))
    system.encode(batch, augmentations_of(system, batch))
    collector.write()  # what is received outside the block is not collected
    assert same(running_of(system), {name: after[name] for name in running_of(system)})


def test_replaced_norms_keep_names_weights_types_and_modes() -> None:
    system = system_of(KNOBS["plain"], still=False).double()
    list_batch_norms(system)[0].eval()
    before = {name: tensor.clone() for name, tensor in system.state_dict().items()}
    synchronise_batch_norms(system, "cpu")
    assert list(system.state_dict()) == list(before)
    assert same(dict(system.state_dict()), before)
    norms = [part for part in system.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    assert [type(norm) for norm in norms] == [SynchronisedBatchNorm] * 2
    assert [norm.training for norm in norms] == [False, True]
    on_cuda = system_of(KNOBS["plain"], still=False)
    synchronise_batch_norms(on_cuda, "cuda")
    assert [type(norm) for norm in list_batch_norms(on_cuda)] == [nn.SyncBatchNorm] * 2


def stepper_for(system: ContrastiveSystem, rank: int, size: int) -> Stepper:
    """What draws the augmentations of one rank of so many."""
    return Stepper(SimpleNamespace(global_rank=rank, world_size=size), None, system, None)  # type: ignore[arg-type]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())
