"""Initial weights: reading them from files of many kinds, and refusing what does not fit."""

import argparse
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn import functional
from written_weights import Tensors, assert_holds, copied, fresh, in_model, run_of, trained

from talkies.core import ConfigError, RunError, TalkiesError
from talkies.models import Encoder
from talkies.runs import InitialWeights, RunFolder, RunRecord, load_encoder_weights, parse_initial_weights

ACCEPTED = "a .safetensors file, a PyTorch file of a state dict, a talkies run or one of its checkpoints"
IN_WORDS = f"it is video=PATH, audio=PATH or video=PATH,audio=PATH, where PATH is {ACCEPTED}"


def refused(sentence: str, error: type[TalkiesError] = ConfigError) -> pytest.RaisesExc[TalkiesError]:
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


paths = st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1).filter(
    lambda text: text == text.strip()
)


@given(video=st.none() | paths, audio=st.none() | paths, swapped=st.booleans())
def test_what_to_begin_from_reads_as_it_is_written(video: str | None, audio: str | None, swapped: bool) -> None:
    parts = [f"{tower}={path}" for tower, path in (("video", video), ("audio", audio)) if path is not None]
    if not parts:
        return
    expected = InitialWeights(video=Path(video) if video else None, audio=Path(audio) if audio else None)
    assert parse_initial_weights(",".join(reversed(parts) if swapped else parts)) == expected


def test_paths_to_begin_from_may_hold_commas_and_equals_signs() -> None:
    assert parse_initial_weights("video=runs/lr=1,wd=2/x.pt, audio=a,b.pt") == InitialWeights(
        Path("runs/lr=1,wd=2/x.pt"), Path("a,b.pt")
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "got ''"),
        ("weights.pt", "got 'weights.pt'"),
        ("vidoe=weights.pt", "got 'vidoe=weights.pt' (did you mean 'video'?)"),
        ("video=", "got 'video=', without a path for video"),
        ("video=a.pt,audio=", "got 'video=a.pt,audio=', without a path for audio"),
        ("video=a.pt,video=b.pt", "got 'video=a.pt,video=b.pt', which names video twice"),
    ],
)
def test_what_to_begin_from_is_refused_if_it_names_no_tower_and_file(text: str, fault: str) -> None:
    with refused(f"initial weights: {fault}; {IN_WORDS}"):
        parse_initial_weights(text)


def saved_as_safetensors(tensors: Tensors, path: Path) -> None:
    save_file(tensors, path)


def saved_with_module_prefix(tensors: Tensors, path: Path) -> None:
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, path)


def saved_under(nest: str) -> Callable[[Tensors, Path], None]:
    return lambda tensors, path: torch.save({"epoch": 3, nest: tensors, "optimizer": {"lr": 0.1}}, path)


def saved_the_old_way(tensors: Tensors, path: Path) -> None:
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    "save",
    [
        saved_as_safetensors,
        torch.save,
        saved_the_old_way,
        saved_with_module_prefix,
        saved_under("state_dict"),
        saved_under("model"),
        saved_under("model_state_dict"),
    ],
)
def test_every_accepted_kind_of_file_gives_its_weights(save: Callable[[Tensors, Path], None], tmp_path: Path) -> None:
    encoder, path = fresh(), tmp_path / "weights"
    tensors = trained(encoder)
    save(tensors, path)
    loaded = load_encoder_weights(encoder, path)
    assert_holds(encoder, tensors)
    assert (loaded.path, loaded.modality, loaded.adapted, loaded.unused) == (path, "video", (), ())
    assert loaded.matched == tuple(tensors)


@pytest.mark.parametrize("tower", ["video", "audio"])
def test_a_file_of_a_checkpoint_gives_the_tower_that_is_asked_for(tower: str, tmp_path: Path) -> None:
    encoder, towers = fresh(tower), {"video": trained(fresh("video")), "audio": trained(fresh("audio"))}
    save_file(in_model(towers["video"], towers["audio"]), tmp_path / "model.safetensors")
    loaded = load_encoder_weights(encoder, tmp_path / "model.safetensors")
    assert_holds(encoder, towers[tower])
    assert (loaded.unused, len(loaded.matched)) == ((), len(towers[tower]))


def test_a_run_gives_its_newest_checkpoint(tmp_path: Path) -> None:
    run, model = run_of(tmp_path / "run")
    for path in (run.root, run.get_checkpoint(10).folder):
        encoder = fresh()
        loaded = load_encoder_weights(encoder, path)
        assert_holds(encoder, model.video.state_dict())
        assert loaded.path == run.get_checkpoint(10).folder / "model.safetensors"


def test_averaged_weights_go_before_the_last_ones(tmp_path: Path) -> None:
    run, encoder = run_of(tmp_path / "run")[0], fresh("audio")
    averaged, path = trained(encoder), run.get_checkpoint().folder / "ema.safetensors"
    save_file(in_model(trained(fresh()), averaged), path)
    assert load_encoder_weights(encoder, run.root).path == path
    assert_holds(encoder, averaged)


def test_weights_of_half_precision_are_taken_in_the_encoders_own(tmp_path: Path) -> None:
    encoder, tensors = fresh(), {name: tensor.half() for name, tensor in trained(fresh()).items() if tensor.ndim}
    torch.save(tensors, tmp_path / "half.pt")
    load_encoder_weights(encoder, tmp_path / "half.pt")
    assert_holds(
        encoder, {name: tensors[name].float() if tensor.ndim else tensor for name, tensor in copied(encoder).items()}
    )


def test_counters_of_batches_may_lack_and_then_stay(tmp_path: Path) -> None:
    encoder, tensors = fresh(), trained(fresh())
    torch.save({name: tensor for name, tensor in tensors.items() if tensor.ndim}, tmp_path / "weights.pt")
    load_encoder_weights(encoder, tmp_path / "weights.pt")
    assert {int(tensor) for tensor in encoder.state_dict().values() if tensor.ndim == 0} == {0}


def test_weights_stay_in_the_layout_of_memory_that_the_encoder_has(tmp_path: Path) -> None:
    encoder = fresh().to(memory_format=torch.channels_last_3d)
    tensors = trained(fresh())
    save_file(tensors, tmp_path / "w.safetensors")
    load_encoder_weights(encoder, tmp_path / "w.safetensors")
    assert_holds(encoder, tensors)
    kernels = [weight for weight in encoder.parameters() if weight.ndim == 5]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last_3d) for kernel in kernels)


@given(seed=st.integers(0, 2**31), size=st.integers(7, 20))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kernel_for_colours_gives_on_one_channel_what_it_gave_on_three_equal_ones(
    tmp_path: Path, seed: int, size: int
) -> None:
    encoder, generator = fresh("audio").double(), torch.Generator().manual_seed(seed)
    tensors = trained(encoder)
    kernel = torch.randn(16, 3, 3, 3, generator=generator, dtype=torch.float64)
    torch.save(tensors | {"blocks.0.0.weight": kernel}, tmp_path / "colours.pt")
    loaded = load_encoder_weights(encoder, tmp_path / "colours.pt")
    sounds = torch.randn(2, 1, size, size, generator=generator, dtype=torch.float64)
    summed = encoder.get_parameter("blocks.0.0.weight")
    torch.testing.assert_close(functional.conv2d(sounds, summed), functional.conv2d(sounds.repeat(1, 3, 1, 1), kernel))
    assert loaded.adapted == ("blocks.0.0.weight",)
    assert "blocks.0.0.weight" not in loaded.matched


def test_what_was_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    encoder, path = fresh("audio"), tmp_path / "w.pt"
    tensors = trained(encoder) | {"blocks.0.0.weight": torch.ones(16, 3, 3, 3), "fc.bias": torch.ones(2)}
    torch.save(tensors, path)
    count, adapted = len(tensors) - 2, "blocks.0.0.weight adapted (3 channels to 1)"
    assert str(load_encoder_weights(encoder, path)) == (
        f"audio: {count} tensors of {path} matched, {adapted}, unused: fc.bias"
    )
    torch.save(tensors | {f"decoder.{number}": torch.ones(2) for number in range(8)}, path)
    names = ", ".join(f"decoder.{number}" for number in range(5))
    assert str(load_encoder_weights(encoder, path)).endswith(f", unused: fc.bias, {names} and 3 more")


class Marker:
    """Told by its pickle to make a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run_it(zipped: bool, tmp_path: Path) -> None:
    path, ran = tmp_path / "w.pt", tmp_path / "ran"
    torch.save({"a": torch.ones(2), "code": Marker(ran)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ConfigError, match=r"reading it could run code of its author; if you trust it, save only its tens"
    ):
        load_encoder_weights(fresh(), path)
    assert not ran.exists()


def test_a_pickle_of_other_things_than_tensors_is_refused_by_their_name(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"model": trained(fresh()), "args": argparse.Namespace(lr=1)}, path)
    with refused(
        f"{path} holds an object of argparse.Namespace, and reading it could run code of its author; "
        f"if you trust it, save only its tensors: torch.save(model.state_dict(), …)"
    ):
        load_encoder_weights(fresh(), path)


@pytest.mark.parametrize(
    "content", [b"", b"no weights", b"PK\x03\x04", b"\x80\x02", pickle.dumps({"a": 1}), b"\x08" + bytes(20)]
)
def test_a_file_that_is_none_of_weights_is_refused(content: bytes, tmp_path: Path) -> None:
    path, encoder = tmp_path / "w.pt", fresh()
    path.write_bytes(content)
    before = copied(encoder)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))} (cannot be read, or is|holds more than)"):
        load_encoder_weights(encoder, path)
    assert_holds(encoder, before)


@pytest.mark.parametrize("save", [saved_as_safetensors, torch.save, saved_the_old_way])
def test_a_file_that_was_cut_is_refused_and_changes_nothing(
    save: Callable[[Tensors, Path], None], tmp_path: Path
) -> None:
    encoder, path = fresh("audio"), tmp_path / "w"
    before = copied(encoder)
    save({"blocks.0.0.weight": torch.ones(16, 1, 3, 3), "blocks.0.1.bias": torch.ones(16)}, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match=f"^{re.escape(str(path))} "):
            load_encoder_weights(encoder, path)
    assert_holds(encoder, before)


@given(places=st.lists(st.tuples(st.integers(0, 1700), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_other_bytes_is_refused_and_changes_nothing(tmp_path: Path, places: list[tuple[int, int]]) -> None:
    encoder, path = fresh("audio"), tmp_path / "w"
    before = copied(encoder)
    saved_the_old_way({"blocks.0.0.weight": torch.ones(16, 1, 3, 3), "blocks.0.1.bias": torch.ones(16)}, path)
    content = bytearray(path.read_bytes())
    for place, byte in places:
        content[place % len(content)] = byte
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))} "):
        load_encoder_weights(encoder, path)
    assert_holds(encoder, before)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda path: None, "does not exist"),
        (Path.mkdir, "is a folder without weights"),
        (lambda path: path.symlink_to(path), "does not exist"),
    ],
)
def test_a_path_without_weights_is_refused(make: Callable[[Path], None], fault: str, tmp_path: Path) -> None:
    make(tmp_path / "x")
    with refused(f"{tmp_path / 'x'} {fault}; as initial weights name {ACCEPTED}"):
        load_encoder_weights(fresh(), tmp_path / "x")


def test_a_path_that_the_system_refuses_is_told_with_its_cause(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    with refused(f"{path} cannot be read (file name too long); as initial weights name {ACCEPTED}"):
        load_encoder_weights(fresh(), path)


def test_a_run_without_checkpoints_cannot_be_begun_from(tmp_path: Path) -> None:
    RunFolder(tmp_path).create("model: {}\n", RunRecord(library="l", profile={}, films=(), tools={}))
    with pytest.raises(RunError, match="has no checkpoint"):
        load_encoder_weights(fresh(), tmp_path)


def assert_refused_unchanged(encoder: Encoder, tensors: Tensors, path: Path, sentence: str) -> None:
    before = copied(encoder)
    torch.save(tensors, path)
    with refused(sentence):
        load_encoder_weights(encoder, path)
    assert_holds(encoder, before)


def test_weights_of_another_shape_are_refused_by_name(tmp_path: Path) -> None:
    encoder, path = fresh(), tmp_path / "w.pt"
    assert_refused_unchanged(
        encoder,
        trained(encoder) | {"block2.0.weight": torch.ones(96, 48, 1, 3, 3)},
        path,
        f"block2.0.weight in {path} is [96, 48, 1, 3, 3], and the encoder's is [96, 48, 3, 3, 3]; "
        f"name weights of that encoder",
    )


def test_weights_that_are_no_real_numbers_are_refused(tmp_path: Path) -> None:
    encoder, path = fresh(), tmp_path / "w.pt"
    tensors = trained(encoder)
    assert_refused_unchanged(
        encoder,
        tensors | {"block2.0.weight": tensors["block2.0.weight"].to(torch.int8)},
        path,
        f"block2.0.weight in {path} is int8 [96, 48, 3, 3, 3], and the encoder's is [96, 48, 3, 3, 3]; "
        f"name weights of that encoder",
    )


def test_only_three_channels_are_made_one(tmp_path: Path) -> None:
    encoder, path = fresh("audio"), tmp_path / "w.pt"
    assert_refused_unchanged(
        encoder,
        trained(encoder) | {"blocks.0.0.weight": torch.ones(16, 2, 3, 3)},
        path,
        f"blocks.0.0.weight in {path} is [16, 2, 3, 3], and the encoder's is [16, 1, 3, 3]; "
        f"name weights of that encoder",
    )


def test_weights_that_lack_some_are_refused_with_their_names(tmp_path: Path) -> None:
    encoder, path = fresh(), tmp_path / "w.pt"
    tensors = trained(encoder)
    del tensors["stem.0.weight"], tensors["block3.1.running_var"]
    assert_refused_unchanged(
        encoder,
        tensors,
        path,
        f"{path} lacks 2 tensors of the video encoder (TinyVideo): stem.0.weight, block3.1.running_var; "
        f"name weights of that encoder",
    )


@pytest.mark.parametrize("tensors", [{"fc.weight": torch.ones(2)}, {}])
def test_weights_of_which_nothing_fits_are_refused_with_what_would(tensors: Tensors, tmp_path: Path) -> None:
    encoder, path = fresh(), tmp_path / "w.pt"
    assert_refused_unchanged(
        encoder,
        tensors,
        path,
        f"{path} has no tensor of the video encoder (TinyVideo): it holds {', '.join(tensors) or 'none'}, and needed "
        f"are stem.0.weight, stem.1.weight, stem.1.bias, stem.1.running_mean, stem.1.running_var, "
        f"stem.1.num_batches_tracked and 18 more; name {ACCEPTED}",
    )


@pytest.mark.parametrize("document", [3, [torch.ones(2)], {"state_dict": {"names": ["a"]}}, torch.ones(2)])
def test_a_file_without_a_state_dict_holds_nothing_that_fits(document: object, tmp_path: Path) -> None:
    torch.save(document, tmp_path / "w.pt")
    with pytest.raises(
        ConfigError, match=r"has no tensor of the video encoder \(TinyVideo\): it holds none, and needed"
    ):
        load_encoder_weights(fresh(), tmp_path / "w.pt")


def test_the_weights_of_one_tower_do_not_fit_the_other(tmp_path: Path) -> None:
    save_file(trained(fresh("video", "vit_tiny")), tmp_path / "w.safetensors")
    with pytest.raises(
        ConfigError, match=r"patch_embed.proj.weight in .* is \[96, 3, 2, 16, 16\], and the encoder's is"
    ):
        load_encoder_weights(fresh("audio", "vit_tiny"), tmp_path / "w.safetensors")
