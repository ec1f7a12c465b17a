"""Checkpoints that several processes write: what each reader gets, and what is refused."""

import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from talkies.core import RunError, WorkError
from talkies.runs import CheckpointState, RunFolder
from talkies.runs.saved_tensors import open_tensors, save_shard, write_index
from talkies.training.tensors import GatheredTensors

STATE = CheckpointState(step=7, stamp="abc", score=0.5)


def tensors_of(count: int, offset: float = 0.0) -> dict[str, Tensor]:
    return {f"model.layer{number}": torch.arange(number + 2) + offset for number in range(count)}


def written(run: RunFolder, shards: int = 2, *, missing: int | None = None) -> None:
    """Write a checkpoint by as many writers, one after the other."""
    writers = [run.start_sharded(7, shard, shards) for shard in range(shards)]
    for writer in writers:
        writer.begin()
    for shard, writer in enumerate(writers):
        for write, offset in ((writer.write_model, 0.0), (writer.write_optimiser, 0.1), (writer.write_average, 0.2)):
            if shard != missing or offset != 0.1:
                write(GatheredTensors(tensors_of(5, offset)).take_share(shard, shards))
    for writer in reversed(writers):
        writer.finish(STATE)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "config.yaml").write_text("")
    return RunFolder(tmp_path)


def test_a_sharded_checkpoint_is_read_as_a_whole_one(run: RunFolder) -> None:
    written(run)
    checkpoint = run.get_checkpoint()
    assert checkpoint.read_state() == STATE.model_copy(update={"schema_version": 3})
    torch.testing.assert_close(checkpoint.read_model_weights(), tensors_of(5), rtol=0, atol=0)
    torch.testing.assert_close(checkpoint.read_optimiser_weights(), tensors_of(5, 0.1), rtol=0, atol=0)
    torch.testing.assert_close(checkpoint.read_encoder_weights(), tensors_of(5, 0.2), rtol=0, atol=0)
    assert checkpoint.find_encoder_file().name == "ema.safetensors.index.json"
    assert not list(checkpoint.folder.parent.glob(".partial*"))
    opened = checkpoint.open_model_weights().select_prefix("model.")
    assert set(opened) == {f"layer{number}" for number in range(5)}
    assert opened.get_shape("layer3") == (5,)
    assert "layer9" not in opened


def test_the_index_is_that_of_hugging_face(run: RunFolder) -> None:
    written(run)
    folder = run.get_checkpoint().folder
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == tensors_of(5).keys()
    for name, file in index["weight_map"].items():
        assert re.fullmatch(r"model-0000[12]-of-00002\.safetensors", file)
        assert name in load_file(folder / file)


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(1, 300), max_size=8), shards=st.integers(1, 5))
def test_every_tensor_is_in_one_shard_and_no_shard_is_much_larger_than_its_share(sizes: list[int], shards: int) -> None:
    tensors = {f"t{number}": torch.full((size,), float(number)) for number, size in enumerate(sizes)}
    shares = [GatheredTensors(tensors).take_share(shard, shards) for shard in range(shards)]
    assert sorted(name for share in shares for name in share) == sorted(tensors)
    held = [sum(tensor.numel() for tensor in share.values()) for share in shares]
    assert max(held) <= sum(sizes) / shards + max(sizes, default=0)


@settings(deadline=None, max_examples=20)
@given(shards=st.integers(1, 5), count=st.integers(0, 6))
def test_any_number_of_shards_holds_the_same_tensors(
    shards: int, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("shards") / "model.safetensors"
    for shard in range(shards):
        save_shard(GatheredTensors(tensors_of(count)).take_share(shard, shards), path, shard, shards)
    write_index(path, shards)
    opened = open_tensors(path.with_name(f"{path.name}.index.json"))
    torch.testing.assert_close(dict(opened), tensors_of(count), rtol=0, atol=0)


def test_a_shard_that_another_machine_does_not_show_stops_the_run(run: RunFolder) -> None:
    with pytest.raises(WorkError, match=r"lacks what process 2 of 2 wrote; put the run on a file system that all mach"):
        written(run, missing=1)
    assert run.list_checkpoints() == []


@pytest.mark.parametrize("damage", ["no shard", "half a shard", "another shard", "no map", "no JSON"])
def test_a_damaged_sharded_checkpoint_is_refused(damage: str, run: RunFolder) -> None:
    written(run)
    folder = run.get_checkpoint().folder
    shard, index = folder / "model-00002-of-00002.safetensors", folder / "model.safetensors.index.json"
    match damage:
        case "no shard":
            shard.unlink()
        case "half a shard":
            shard.write_bytes(shard.read_bytes()[:-1])
        case "another shard":
            save_file({"other": torch.zeros(1)}, shard)
        case "no map":
            index.write_text("{}")
        case "no JSON":
            index.write_bytes(b"\xff{")
    with pytest.raises(RunError, match=re.escape(f"{index} is missing or damaged; remove {folder} to use the one")):
        run.get_checkpoint().read_model_weights()


def test_an_index_never_leads_out_of_its_folder(run: RunFolder) -> None:
    written(run)
    folder = run.get_checkpoint().folder
    index = folder / "model.safetensors.index.json"
    save_file({"model.layer0": torch.ones(1)}, folder.parent / "outside.safetensors")
    index.write_text(json.dumps({"weight_map": {"model.layer0": "../outside.safetensors"}}))
    with pytest.raises(RunError, match="is missing or damaged"):
        run.get_checkpoint().read_model_weights()
