import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from talkies.distributed import gather_rows, mean_over_ranks, rank, world_size

SCRIPT = Path(__file__).with_name("one_rank.py")
CASES = ["within_and_which", "within_alone", "plain_infonce", "films_on_both_ranks"]
WATCHDOG_SECONDS = 60

pytestmark = pytest.mark.xdist_group("two-ranks")


def run_ranks(ranks: int, folder: Path) -> list[dict[str, Any]]:
    """What each of `ranks` processes left; none outlives the watchdog."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with ExitStack() as running:
        processes = []
        for number in range(ranks):
            command = [sys.executable, str(SCRIPT), str(number), str(ranks), str(folder)]
            log = running.enter_context((folder / f"{number}.log").open("w"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            processes.append(running.enter_context(process))
            running.callback(process.kill)
        try:
            statuses = [process.wait(WATCHDOG_SECONDS) for process in processes]
        except subprocess.TimeoutExpired:
            pytest.fail(f"the ranks hang:\n{logs_of(folder)}")
    assert statuses == [0] * ranks, logs_of(folder)
    return [torch.load(folder / f"{number}.pt", weights_only=True) for number in range(ranks)]


def logs_of(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_ranks(2, tmp_path_factory.mktemp("two"))


def test_each_rank_knows_its_place(two: list[dict[str, Any]]) -> None:
    assert [results["place"] for results in two] == [(0, 2), (1, 2)]


def test_every_rank_gathers_the_rows_of_all_in_the_order_of_ranks(two: list[dict[str, Any]]) -> None:
    expected = torch.tensor([[0, 1], [2, 3], [4, 5], [10, 11], [12, 13], [14, 15]], dtype=torch.float32)
    assert all(torch.equal(results["gather"]["rows"], expected) for results in two)


def test_rows_that_do_not_lie_in_one_piece_are_gathered_as_they_read(two: list[dict[str, Any]]) -> None:
    for results in two:
        assert results["gather"]["turned"].tolist() == [[0, 2], [1, 3], [10, 12], [11, 13]]
        assert results["gather"]["with_holes"].tolist() == [[0, 2], [4, 6], [10, 12], [14, 16]]


def test_rows_get_the_sum_of_the_gradients_that_all_ranks_give_them(two: list[dict[str, Any]]) -> None:
    expected_ND = torch.arange(12.0).view(6, 2) * (1 + 100)
    got_ND = torch.cat([results["gather"]["gradient"] for results in two])
    assert torch.equal(got_ND, expected_ND)


@pytest.mark.parametrize("case", CASES)
def test_averaged_gradients_are_those_of_the_global_batch(case: str, two: list[dict[str, Any]]) -> None:
    for results in two:
        expected, got = (results[way][case]["gradients"] for way in ("alone", "together"))
        assert got.keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient.norm() > 1e-3, f"{name} proves nothing"
            assert (got[name] - gradient).norm() < 1e-5 * gradient.norm(), name


@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_the_losses_is_the_loss_of_the_global_batch(case: str, two: list[dict[str, Any]]) -> None:
    losses = [results["together"][case]["loss"] for results in two]
    assert losses[0] != losses[1]
    torch.testing.assert_close(torch.stack(losses).mean(), two[0]["alone"][case]["loss"], rtol=1e-5, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_the_reports_is_the_report_of_the_global_batch(case: str, two: list[dict[str, Any]]) -> None:
    for name, expected in two[0]["alone"][case]["report"].items():
        mean = torch.stack([results["together"][case]["report"][name] for results in two]).mean()
        torch.testing.assert_close(mean, expected, rtol=1e-5, atol=1e-6)


def test_numbers_are_averaged_over_ranks_by_name(two: list[dict[str, Any]]) -> None:
    for results in two:
        assert results["mean"] == pytest.approx({"a": 0.1, "b": 1.5}, rel=1e-12)


def test_one_process_is_rank_zero_of_one() -> None:
    assert (rank(), world_size()) == (0, 1)


def test_one_process_gathers_its_own_rows_and_reports_its_own_numbers() -> None:
    rows = torch.randn(3, 2)
    assert gather_rows(rows) is rows
    assert mean_over_ranks({"a": 0.1, "b": 3.0}) == {"a": 0.1, "b": 3.0}
