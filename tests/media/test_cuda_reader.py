"""`CudaVideoReader`: the pictures and the checks of `VideoReader`, with a stand-in for torchcodec."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torchcodec_stand_in import StandIn

from talkies.core import ConfigError, MediaError, Rectangle, WorkError
from talkies.media import VideoReader, cuda_reader
from talkies.media.cuda_reader import CudaVideoReader, check_cuda_decoding

FRAMES = 43  # no multiple of the GOP of 16: the last one is cut short


@pytest.fixture(scope="module")
def proxy(coded: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proxy of 43 frames whose pictures say their own number."""
    return coded.proxy(tmp_path_factory.mktemp("cuda") / "proxy.mp4", FRAMES)


@pytest.fixture
def torchcodec(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, installed as torchcodec 0.17 on a machine with a CUDA device."""
    module = StandIn()
    monkeypatch.setattr(cuda_reader, "version", lambda _name: "0.17.0+cu130")
    monkeypatch.setattr(cuda_reader, "import_module", lambda _name: module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return module


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_reads_in_any_order_are_those_of_the_cpu_to_the_bit(
    data: st.DataObject, proxy: Path, torchcodec: StandIn
) -> None:
    torchcodec.late = data.draw(st.integers(0, 4), "frames come late by")
    with VideoReader(proxy, 16) as cpu, CudaVideoReader(proxy, 16, "cpu") as gpu:
        assert (len(gpu), gpu.width, gpu.height) == (len(cpu), cpu.width, cpu.height)
        for _ in range(3):
            start = data.draw(st.integers(0, FRAMES - 1))
            step = data.draw(st.integers(1, 3))
            frames = range(start, data.draw(st.integers(start + 1, FRAMES)), step)
            assert np.array_equal(gpu.read(frames), cpu.read(frames))


def test_parts_are_cut_as_on_the_cpu(proxy: Path, torchcodec: StandIn) -> None:
    frames = range(5, 20, 4)
    with VideoReader(proxy, 16) as cpu, CudaVideoReader(proxy, 16, "cpu") as gpu:
        whole = Rectangle(0, 0, cpu.width, cpu.height)
        corner = Rectangle(cpu.height - 20, cpu.width - 30, 30, 20)
        found = []
        for reader in (cpu, gpu):
            buffers = [np.zeros((4, part.height * 3 // 2, part.width), np.uint8) for part in (whole, corner)]
            reader.read_parts(frames, list(zip((whole, corner), buffers, strict=True)))
            found.append(buffers)
        assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))
        with pytest.raises(MediaError, match=r"has pictures of \d+ × \d+ pixels"):
            gpu.read_into(range(1), np.zeros((1, cpu.height * 3, cpu.width), np.uint8))


def _fail_at(module: StandIn) -> None:
    module.fails_at = 20


def _stop(module: StandIn) -> None:
    module.stops_at = 30


def _shift(module: StandIn) -> None:
    module.shift_seconds = 1 / 16


def _shift_little(module: StandIn) -> None:
    module.shift_seconds = 1e-4


def _be_deep(module: StandIn) -> None:
    module.pixel_format = "p010le"


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        (_fail_at, "damaged", r"is damaged at 1\.\d+ s \(Failed to send packet to decoder \(status -1\)\); ingest"),
        (_stop, "truncated", r"ends before 1\.875 s; ingest its film again"),
        (_shift, "wrong_time", r"was asked for the frame at 0\.0 s and returned the one at 0\.0625 s"),
        (_shift_little, "wrong_time", r"was asked for the frame at 0\.0 s and returned the one at 0\.0001 s"),
        (_be_deep, "damaged", r"is damaged at 0\.0 s"),
    ],
)
def test_what_is_not_the_frame_asked_for_is_refused(
    fault: Callable[[StandIn], None], code: str, sentence: str, proxy: Path, torchcodec: StandIn
) -> None:
    fault(torchcodec)
    with CudaVideoReader(proxy, 16, "cpu") as reader:
        with pytest.raises(MediaError, match=sentence) as caught:
            reader.read(range(FRAMES))
        assert caught.value.code == code
        torchcodec.__dict__.update(StandIn().__dict__)
        with VideoReader(proxy, 16) as cpu:
            assert np.array_equal(reader.read(range(3, 9)), cpu.read(range(3, 9))), "it reads on after an error"


def test_a_full_gpu_is_named(proxy: Path, torchcodec: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(StandIn, "Demuxer", staticmethod(refuse))
    with pytest.raises(WorkError, match=r"the GPU has not enough memory to decode on; lower loader\.workers"):
        CudaVideoReader(proxy, 16, "cpu")


def test_a_machine_that_cannot_is_told_what_to_do(
    proxy: Path, torchcodec: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_cuda_decoding(proxy)
    torchcodec.fallback = "[CUDA] Fallback status: Falling back due to: NVcuvid unavailable"
    with pytest.raises(ConfigError, match=r"would decode on the CPU \(.*NVcuvid unavailable\); install NVIDIA"):
        check_cuda_decoding(proxy)
    torchcodec.opening_error = "Unsupported device: cuda\n"
    with pytest.raises(ConfigError, match=r"cannot decode on the GPU \(Unsupported device: cuda\); install its build"):
        check_cuda_decoding(proxy)

    def fail(_name: str) -> None:
        raise OSError("libnvrtc.so.13: cannot open shared object file")

    monkeypatch.setattr(cuda_reader, "import_module", fail)
    with pytest.raises(ConfigError, match=r"torchcodec cannot be loaded \(libnvrtc.*\); install it: pip install"):
        check_cuda_decoding(proxy)
    monkeypatch.setattr(cuda_reader, "version", lambda _name: "0.9.1")
    with pytest.raises(ConfigError, match=r"torchcodec 0\.9\.1 cannot hand out planes; install it: pip install"):
        check_cuda_decoding(proxy)

    def missing(name: str) -> str:
        raise cuda_reader.PackageNotFoundError(name)

    monkeypatch.setattr(cuda_reader, "version", missing)
    with pytest.raises(ConfigError, match=r"torchcodec is not installed; .*, or set loader\.decoder=cpu$"):
        check_cuda_decoding(proxy)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"this machine has no CUDA device; set loader\.decoder=cpu$"):
        check_cuda_decoding(proxy)


def test_the_real_torchcodec_gives_the_same_pictures(proxy: Path) -> None:
    """On its CPU, where it is installed and can be loaded."""
    try:
        reader = CudaVideoReader(proxy, 16, "cpu")
    except ConfigError as error:
        pytest.skip(str(error))
    with VideoReader(proxy, 16) as cpu, reader:
        for frames in (range(20, 40, 3), range(FRAMES), range(2, 5), range(40, FRAMES)):
            assert np.array_equal(reader.read(frames), cpu.read(frames))
