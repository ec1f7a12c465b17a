"""A compiled run has the losses and the statistics of one that is not; to compile it takes most of a minute."""

import shutil
from collections.abc import Callable

import pytest
import torch
from measured_statistics import measured_directly, running_of

from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import PretrainReport, RunConfig, pretrain
from talkies.training.metrics import read_metrics

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),  # PyTorch's own
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
]
Config = Callable[..., RunConfig]


@pytest.fixture(scope="module")
def config(small: Config) -> RunConfig:
    return small("training.recalibration_batches=3", "training.compile=true")


@pytest.fixture(scope="module")
def compiled(library: Library, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> PretrainReport:
    """Six steps of compiled code; read only."""
    return pretrain(library.root, config, tmp_path_factory.mktemp("compiled") / "run")


def test_a_compiled_run_has_the_losses_of_one_that_is_not(compiled: PretrainReport, whole_run: PretrainReport) -> None:
    losses, expected = (
        [line["loss"] for line in read_metrics(run.run / "metrics.jsonl")] for run in (compiled, whole_run)
    )
    assert losses[:2] == pytest.approx(expected[:2], abs=1e-4)
    names = [RunFolder(report.run).get_checkpoint().read_model_weights().keys() for report in (compiled, whole_run)]
    assert names[0] == names[1]


def test_compiled_code_does_not_hide_the_statistics(
    compiled: PretrainReport, config: RunConfig, library: Library
) -> None:
    weights = RunFolder(compiled.run).get_checkpoint(6).read_model_weights()
    expected = measured_directly(library, config, weights, 6)
    torch.testing.assert_close(running_of(weights), expected, rtol=1e-3, atol=1e-5)
