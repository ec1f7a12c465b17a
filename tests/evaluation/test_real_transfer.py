"""Real sounds and real actions, from their files to a result, with quick protocols."""

from pathlib import Path

import pytest

from talkies.evaluation import evaluate
from talkies.evaluation.results import Result
from talkies.evaluation.transfer import resolve_protocol

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
SUBJECTS = r"data.group=^(subject\d+)_"


def measured(task: str, run: Path, data: Path, name: str, *sets: str) -> Result:
    """Return the result under a protocol with what is set."""
    return evaluate(task, run, data, protocol=resolve_protocol(name, sets))


def test_esc10_in_five_folds_beside_untrained_encoders_and_statistics(run: Path, real_data: Path) -> None:
    result = measured("esc10", run, real_data / "esc10", "linear", "clips=1", "c_grid=[0.01]")
    protocol = result.protocol
    assert (protocol["clips_used"], protocol["classes"], protocol["missing_share"]) == (400, 10, 0)
    assert list(protocol["splits"].values()) == [[320, 0, 80]] * 5
    assert protocol["chance"]["accuracy"] == pytest.approx(0.1)
    assert result.baselines.keys() == {"untrained", "statistics"}
    for metrics in (result.metrics, *result.baselines.values()):
        low = metrics["accuracy"].low
        assert metrics["accuracy"].n == 5
        assert low is not None
        assert low > 0.3  # three times chance: even untrained encoders hear


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("linear", ("clips=2", "c_grid=[0.01]")),
        ("knn", ("clips=2", "neighbour_grid=[3]")),
        ("finetune", ("clips=2", "frames=8", "fps=8", "size=32", "finetune.epochs=1", "baselines=false")),
    ],
)
def test_actions_with_each_subject_left_out_once(name: str, sets: tuple[str, ...], run: Path, real_data: Path) -> None:
    result = measured("video-folder", run, real_data / "actions", name, SUBJECTS, *sets)
    assert result.protocol["splits"] == {
        "subject1": [18, 0, 5], "subject2": [19, 0, 4], "subject3": [13, 0, 10], "subject4": [19, 0, 4],
    }  # fmt: skip
    assert result.protocol["group"] == r"^(subject\d+)_"
    metric = result.metrics["accuracy"]
    assert metric.n == 4
    assert metric.low is not None
    assert metric.high is not None
    assert metric.high - metric.low > 0.2  # 23 clips tell little, and the interval says so
