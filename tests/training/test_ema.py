"""The moving average of the weights: its values, that it is saved, and that it encodes films."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from talkies.clips import ClipSource, collate, list_windows
from talkies.core import RunError
from talkies.library import Library
from talkies.models import TwoTower, build_model, compute_weights_stamp
from talkies.retrieval.index import embed
from talkies.runs import RunFolder, load_encoder
from talkies.training import PretrainReport, RunConfig, pretrain
from talkies.training.ema import ExponentialMovingAverage
from talkies.transforms import ClipTransform

Config = Callable[..., RunConfig]
DECAY = 0.3


def slowly(values: list[list[float]], decay: float) -> list[float]:
    """The average of numbers after the last step; `values` are those before the first step and after each."""
    average = list(values[0])
    for done, now in enumerate(values[1:], 1):
        keep = min(decay, (1 + done) / (10 + done))
        average = [keep * before + (1 - keep) * number for before, number in zip(average, now, strict=True)]
    return average


def some_of(tensor: torch.Tensor) -> list[float]:
    return tensor.double().flatten()[:: max(1, tensor.numel() // 20)].tolist()


@pytest.fixture(scope="module")
def averaged(library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory) -> PretrainReport:
    """Six steps with an average, a checkpoint after each; read only."""
    run = tmp_path_factory.mktemp("averaged") / "run"
    every = (f"training.ema_decay={DECAY}", "training.checkpoint_every=1", "training.keep=9")
    return pretrain(library.root, small(*every), run)


@pytest.mark.parametrize("decay", [0.05, 0.3, 0.999])
def test_the_average_of_several_steps_is_that_worked_out_number_by_number(decay: float) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double()
    average = ExponentialMovingAverage(model, decay)
    values = {name: [tensor.double().flatten().tolist()] for name, tensor in model.state_dict().items()}
    for done in range(1, 31):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(5, 3, dtype=torch.float64))
        average.update(done)
        for name, tensor in model.state_dict().items():
            values[name].append(tensor.double().flatten().tolist())
    assert average.state_dict().keys() == values.keys()
    for name, tensor in average.state_dict().items():
        expected = [30.0] if name == "1.num_batches_tracked" else slowly(values[name], decay)
        assert tensor.flatten().tolist() == pytest.approx(expected, rel=1e-12, abs=1e-14), name


@given(
    shapes=st.lists(st.lists(st.integers(1, 5), max_size=3), min_size=1, max_size=6),
    decay=st.floats(0.01, 0.9999),
    ramps=st.booleans(),
    done=st.integers(1, 5000),
)
@settings(max_examples=30, deadline=None)
def test_all_tensors_at_once_are_averaged_to_the_bit_as_one_by_one(
    shapes: list[list[int]], decay: float, ramps: bool, done: int
) -> None:
    model = nn.Module()
    for number, shape in enumerate(shapes):
        kinds = (torch.float32, torch.float64, torch.int64)
        model.register_buffer(f"tensor_{number}", (torch.randn(shape) * 100).to(kinds[number % 3]))
    average = ExponentialMovingAverage(model, decay, ramps=ramps)
    before = {name: tensor.clone() for name, tensor in average.state_dict().items()}
    for tensor in model.buffers():
        tensor.copy_(torch.randn(tensor.shape) * 100)
    average.update(done)

    weight = 1 - (min(decay, (1 + done) / (10 + done)) if ramps else decay)
    for name, now in model.state_dict().items():
        expected = before[name].lerp(now, weight) if now.is_floating_point() else now
        assert torch.equal(average.state_dict()[name], expected)


def test_however_many_tensors_there_are_each_kind_takes_one_call() -> None:
    calls: Counter[str] = Counter()

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            calls[func.overloadpacket.__name__] += 1
            return func(*args, **(kwargs or {}))

    model = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)) for _ in range(9)))
    average = ExponentialMovingAverage(model, 0.9)
    with Counting():
        average.update(1)
    wanted = {"_foreach_lerp_": 1, "_foreach_copy_": 1, "lerp_": 0, "copy_": 0}
    assert {name: calls[name] for name in wanted} == wanted


def test_the_average_is_no_part_of_the_model_and_the_model_none_of_it() -> None:
    model = nn.Linear(2, 1)
    average = ExponentialMovingAverage(model, 0.5)
    before = {name: tensor.clone() for name, tensor in average.state_dict().items()}
    with torch.no_grad():
        model.weight.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in average.state_dict().items())
    weights = model.weight.detach().clone()
    average.update(1)
    assert torch.equal(model.weight.detach(), weights)


def test_what_a_run_saves_is_the_average_of_the_weights_after_each_step(averaged: PretrainReport) -> None:
    checkpoints = RunFolder(averaged.run).list_checkpoints()
    assert [checkpoint.step for checkpoint in checkpoints] == list(range(7))
    steps = [checkpoint.read_model_weights() for checkpoint in checkpoints]
    saved = load_file(checkpoints[-1].folder / "ema.safetensors")
    assert saved.keys() == {name for name in steps[0] if name.startswith("model.")}
    for name, tensor in saved.items():
        if "running" in name:  # the statistics of batch norms are measured with the averaged weights: test_batch_norms
            continue
        values = [some_of(weights[name]) for weights in steps]
        expected = values[-1] if name.endswith("num_batches_tracked") else slowly(values, DECAY)
        assert some_of(tensor) == pytest.approx(expected, rel=1e-4, abs=1e-6), name
    assert not torch.equal(saved["model.video_head.0.weight"], steps[-1]["model.video_head.0.weight"])


def test_the_first_average_is_the_untrained_model(averaged: PretrainReport) -> None:
    first = RunFolder(averaged.run).get_checkpoint(0)
    weights, average = first.read_model_weights(), load_file(first.folder / "ema.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in average.items())


@pytest.mark.parametrize("step", [1, 6])
def test_the_stamp_is_that_of_the_average(step: int, averaged: PretrainReport) -> None:
    checkpoint = RunFolder(averaged.run).get_checkpoint(step)
    stamps = [
        compute_weights_stamp({name[6:]: tensor for name, tensor in weights.items() if name.startswith("model.")})
        for weights in (load_file(checkpoint.folder / "ema.safetensors"), checkpoint.read_model_weights())
    ]
    assert stamps[0] != stamps[1]
    assert checkpoint.read_state().stamp == stamps[0]
    assert step < 6 or averaged.stamp == stamps[0]


def test_films_are_encoded_by_the_average(averaged: PretrainReport, library: Library, small: Config) -> None:
    encoder, film = load_encoder(averaged.run), library.films()[0]
    requests = list_windows(film.id, film.frames, encoder.shape, 16)[:2]
    batch = collate(ClipSource(library, encoder.shape).read_all(requests))
    got = encoder.encode(batch).embeddings
    folder, config = RunFolder(averaged.run).get_checkpoint().folder, small()
    ready = ClipTransform(config.transforms, library.profile.audio_rate_hz).eval()(batch)
    expected, other = (
        _model(folder / name, config)(ready.video_BCTHW, ready.audio_B1FL)
        for name in ("ema.safetensors", "model.safetensors")
    )
    torch.testing.assert_close((got.video_BD, got.audio_BD), expected)
    assert (got.video_BD - other[0]).abs().max() > 1e-3


def _model(path: Path, config: RunConfig) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    model: TwoTower = build_model(config.model)
    model.load_state_dict({n[6:]: tensor for n, tensor in load_file(path).items() if n.startswith("model.")})
    return torch.no_grad()(model.eval())


def test_what_is_embedded_bears_the_stamp_of_the_average(
    averaged: PretrainReport, library: Library, tmp_path: Path
) -> None:
    shelf = shutil.copytree(library.root, tmp_path / "lib")
    assert embed(shelf, averaged.run).entry.stamp == RunFolder(averaged.run).get_checkpoint().read_state().stamp


def test_the_average_changes_nothing_in_what_is_learnt(averaged: PretrainReport, whole_run: PretrainReport) -> None:
    plain, beside = (RunFolder(report.run).get_checkpoint().read_model_weights() for report in (whole_run, averaged))
    assert all(torch.equal(tensor, beside[name]) for name, tensor in plain.items())


def test_without_an_average_there_is_no_file_of_it(whole_run: PretrainReport) -> None:
    assert list(whole_run.run.rglob("ema*")) == []
    assert RunFolder(whole_run.run).get_checkpoint().read_average_weights() is None


def test_a_run_whose_average_is_gone_is_not_gone_on_with(
    averaged: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(averaged.run, tmp_path / "run"))
    (run / "checkpoints" / "step-00000006" / "ema.safetensors").unlink()
    longer = small(f"training.ema_decay={DECAY}", "training.checkpoint_every=1", "training.steps=7")
    with pytest.raises(
        RunError, match=r"step-00000006 does not hold the state that this run's config needs \(it lacks audio\."
    ):
        pretrain(library.root, longer, run, resume=True)
