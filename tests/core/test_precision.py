"""The precision of networks: the settings of CUDA are asked for within blocks, and nothing of them stays behind."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Barrier, Thread
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import precision
from talkies.core.precision import (
    FLOAT32,
    Precision,
    PrecisionName,
    choose_device,
    use_cuda_settings,
    use_exact_products,
)

backends: Any = torch.backends
KINDS: list[Any] = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul]


def found() -> dict[str, Any]:
    """All settings, in both of PyTorch's interfaces; one that cannot say them says so."""
    older: dict[str, Callable[[], Any]] = {
        "matmul": torch.get_float32_matmul_precision,
        "matmul TF32": lambda: backends.cuda.matmul.allow_tf32,
        "convolution TF32": lambda: backends.cudnn.allow_tf32,
    }
    values: dict[str, Any] = {"benchmark": backends.cudnn.benchmark}
    for name, read in older.items():
        try:
            values[name] = read()
        except RuntimeError:
            values[name] = "not to be said"
    return values | {f"kind {number}": kind.fp32_precision for number, kind in enumerate(KINDS)}


def rounds() -> tuple[bool, bool]:
    """Whether matrix products and convolutions are rounded to TF32."""
    assert backends.cuda.matmul.allow_tf32 == (backends.cuda.matmul.fp32_precision == "tf32")
    assert backends.cudnn.allow_tf32 == (backends.cudnn.conv.fp32_precision == "tf32")
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32


@pytest.fixture(autouse=True)
def _settings_as_pytorch_has_them() -> Iterator[None]:
    before = [kind.fp32_precision for kind in KINDS]
    yield
    backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32, backends.cudnn.benchmark = True, False
    for kind, value in zip(KINDS, before, strict=True):
        kind.fp32_precision = value


def test_pytorchs_own_settings_differ_between_products_and_convolutions() -> None:
    """So float32 must be asked for: if this fails, PyTorch has changed, and the texts about it must follow."""
    assert rounds_by_default() == (False, True)


def rounds_by_default() -> tuple[bool, bool]:
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32


def set_kind(kind: Any, value: str) -> None:
    kind.fp32_precision = value


SET_BEFORE: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "exact convolutions": lambda: setattr(backends.cudnn, "allow_tf32", False),
    "benchmark": lambda: setattr(backends.cudnn, "benchmark", True),
    "newer, matrix products": lambda: set_kind(backends.cuda.matmul, "ieee"),
    "newer, convolutions": lambda: set_kind(backends.cudnn.conv, "ieee"),
    "newer, all": lambda: set_kind(backends, "ieee"),
}


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("before", SET_BEFORE)
def test_within_a_block_all_is_as_asked_and_afterwards_as_before(before: str, tf32: bool) -> None:
    SET_BEFORE[before]()
    outside = found()
    with use_cuda_settings(tf32=tf32, times_convolutions=not tf32):
        assert rounds() == (tf32, tf32)
        assert backends.cudnn.benchmark is not tf32
        assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")  # what compilers read
    assert found() == outside


@pytest.mark.parametrize("kind", [backends, backends.cuda.matmul], ids=["all", "matrix products"])
def test_tf32_of_the_newer_interface_ends_for_an_exact_block_and_comes_back(kind: Any) -> None:
    """PyTorch's older interface cannot even say these settings, and leaves convolutions as they are."""
    kind.fp32_precision = "tf32"
    with use_cuda_settings(tf32=False):
        assert {kind.fp32_precision for kind in KINDS[:3]} == {"ieee"}
    assert {kind.fp32_precision for kind in KINDS[:3]} == {"tf32"}


def test_after_an_error_all_is_as_before() -> None:
    outside = found()
    with pytest.raises(ZeroDivisionError), use_cuda_settings(tf32=True), use_cuda_settings(tf32=False):
        raise ZeroDivisionError
    assert found() == outside


@given(wishes=st.lists(st.tuples(st.booleans(), st.sampled_from([None, True, False])), min_size=1), data=st.data())
@settings(max_examples=60, deadline=None)
def test_of_overlapping_blocks_the_most_exact_one_decides(
    wishes: list[tuple[bool, bool | None]], data: st.DataObject
) -> None:
    """They may end in any order, as those of several threads do."""
    outside = found()
    open_blocks: list[tuple[tuple[bool, bool | None], ExitStack]] = []

    def check() -> None:
        tf32 = all(wish[0] for wish, _ in open_blocks)
        times = [wish[1] for wish, _ in open_blocks if wish[1] is not None]
        assert rounds() == (tf32, tf32)
        assert backends.cudnn.benchmark == (all(times) if times else outside["benchmark"])

    for wish in wishes:
        stack = ExitStack()
        stack.enter_context(use_cuda_settings(tf32=wish[0], times_convolutions=wish[1]))
        open_blocks.append((wish, stack))
        check()
    while open_blocks:
        _, stack = open_blocks.pop(data.draw(st.integers(0, len(open_blocks) - 1)))
        stack.close()
        if open_blocks:
            check()
    assert found() == outside


def test_an_exact_block_of_one_thread_is_exact_while_another_trains() -> None:
    outside, seen, turn = found(), [], Barrier(2, timeout=10)

    def train() -> None:
        with use_cuda_settings(tf32=True):
            turn.wait()
            turn.wait()
            seen.append(("both", rounds()))
            turn.wait()
            turn.wait()
            seen.append(("alone again", rounds()))

    thread = Thread(target=train)
    thread.start()
    turn.wait()
    with use_cuda_settings(tf32=False):
        turn.wait()
        turn.wait()
    turn.wait()
    thread.join()
    assert seen == [("both", (False, False)), ("alone again", (True, True))]
    assert found() == outside


@pytest.mark.parametrize("name", get_args(PrecisionName))
def test_each_precision_asks_for_its_own_settings_on_cuda_and_none_elsewhere(name: PrecisionName) -> None:
    own, outside = Precision(name), found()
    with own.use_settings("cpu", times_convolutions=True), use_exact_products("cpu"):
        assert found() == outside
    with own.use_settings("cuda", times_convolutions=True):
        assert rounds() == ((name == "tf32"),) * 2
        assert backends.cudnn.benchmark
        with use_exact_products("cuda"):
            assert rounds() == (False, False)
            assert backends.cudnn.benchmark
        with own.use_settings("cuda"):
            assert rounds() == ((name == "tf32"),) * 2
            assert not backends.cudnn.benchmark
    assert found() == outside


@pytest.mark.parametrize("name", get_args(PrecisionName))
def test_products_are_of_half_precision_only_where_the_precision_is_mixed(name: PrecisionName) -> None:
    layer, rows = torch.nn.Linear(3, 2), torch.ones(1, 3)
    with Precision(name).autocast("cpu"):
        assert layer(rows).dtype == (torch.bfloat16 if name == "bf16-mixed" else torch.float32)
    with Precision(name).encode_on("cpu"):
        assert layer(rows).is_inference()


def test_a_precision_that_is_not_mixed_ends_half_precision_around_it() -> None:
    with torch.autocast("cpu", torch.bfloat16), Precision("tf32").autocast("cpu"):
        assert torch.nn.Linear(3, 2)(torch.ones(1, 3)).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "device", "has_bf16", "expected"),
    [
        ("32-true", "cuda", True, "32-true"),
        ("tf32", "cuda", False, "tf32"),
        ("bf16-mixed", "cuda", True, "bf16-mixed"),
        ("bf16-mixed", "cuda", False, "32-true"),
        ("bf16-mixed", "cpu", True, "32-true"),
        ("tf32", "cpu", True, "32-true"),
    ],
)
def test_a_model_encodes_as_it_was_trained_where_the_gpu_can_and_otherwise_in_float32(
    name: PrecisionName, device: str, has_bf16: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16_arithmetic", lambda device_type: has_bf16)
    assert Precision(name).for_encoding(device).name == expected


@pytest.mark.parametrize("there_is", [True, False])
def test_the_gpu_encodes_if_there_is_one(there_is: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there_is)
    assert choose_device().type == ("cuda" if there_is else "cpu")
    assert Precision() == FLOAT32
