"""The objective over the clips of all ranks: real processes, and the same loss as in one."""

from typing import Any

import pytest
import torch
from one_rank import CASES
from ranks import close, run_ranks

from talkies.distributed import average_over_ranks, gather_rows, rank, world_size

pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.ranks]

RANKS = pytest.mark.parametrize("group", [1, 2, 4], indirect=True, ids=["one rank", "two ranks", "four ranks"])

# Averages of averages over ranks, or of what each rank alone sees: not the number of the global batch.
OF_EACH_RANK = {"within_film_share", "uniformity_video", "uniformity_audio"}


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each rank of groups of one, two and four left."""
    return run_ranks("one_rank", (1, 2, 4), tmp_path_factory.mktemp("ranks"))


@pytest.fixture
def group(request: pytest.FixtureRequest, groups: dict[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What each rank of a group of so many left."""
    return groups[request.param]


@RANKS
@pytest.mark.parametrize("case", CASES)
def test_averaged_gradients_are_those_of_the_global_batch(case: str, group: list[dict[str, Any]]) -> None:
    for results in group:
        close(results["together"][case]["gradients"], results["alone"][case]["gradients"], relative=1e-10)


@RANKS
@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_the_losses_is_the_loss_of_the_global_batch(case: str, group: list[dict[str, Any]]) -> None:
    losses = torch.stack([results["together"][case]["loss"] for results in group])
    assert len(set(losses.tolist())) == len(group)
    torch.testing.assert_close(losses.mean(), group[0]["alone"][case]["loss"], rtol=1e-12, atol=0)


@RANKS
@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_the_reports_is_the_report_of_the_global_batch(case: str, group: list[dict[str, Any]]) -> None:
    for name, expected in group[0]["alone"][case]["report"].items():
        if len(group) == 1 or name not in OF_EACH_RANK:
            mean = torch.stack([results["together"][case]["report"][name] for results in group]).mean()
            torch.testing.assert_close(mean, expected.squeeze(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("group", [2, 4], indirect=True, ids=["two ranks", "four ranks"])
def test_uneven_batches_are_refused_on_every_rank(group: list[dict[str, Any]]) -> None:
    counts = ", ".join(["2"] * (len(group) - 1) + ["3"])
    sentence = (
        f"the {len(group)} processes bring {counts} clips to one batch, and all must bring the same number; "
        f"make the clips of a batch a multiple of the processes"
    )
    assert [results["uneven"] for results in group] == [sentence] * len(group)


@RANKS
def test_each_rank_knows_its_place(group: list[dict[str, Any]]) -> None:
    assert [results["place"] for results in group] == [(number, len(group)) for number in range(len(group))]


@pytest.mark.parametrize("group", [2], indirect=True, ids=["two ranks"])
def test_ranks_compare_each_number_of_rows_once(group: list[dict[str, Any]]) -> None:
    """Comparing waits for the device, and a plan gives all ranks the same number at every step."""
    assert [results["gathers"] for results in group] == [[2, 1, 2]] * 2


@RANKS
def test_every_rank_gathers_the_rows_of_all_in_the_order_of_ranks(group: list[dict[str, Any]]) -> None:
    expected = torch.cat([torch.arange(6.0).view(3, 2) + 10 * number for number in range(len(group))])
    assert all(torch.equal(results["gather"]["rows"], expected) for results in group)


@pytest.mark.parametrize("group", [2], indirect=True, ids=["two ranks"])
def test_rows_that_do_not_lie_in_one_piece_are_gathered_as_they_read(group: list[dict[str, Any]]) -> None:
    for results in group:
        assert results["gather"]["turned"].tolist() == [[0, 2], [1, 3], [10, 12], [11, 13]]
        assert results["gather"]["with_holes"].tolist() == [[0, 2], [4, 6], [10, 12], [14, 16]]


@RANKS
def test_rows_get_the_sum_of_the_gradients_that_all_ranks_give_them(group: list[dict[str, Any]]) -> None:
    count = 6 * len(group)
    expected_ND = torch.arange(float(count)).view(-1, 2) * sum(100**number for number in range(len(group)))
    assert torch.equal(torch.cat([results["gather"]["gradient"] for results in group]), expected_ND)


@RANKS
def test_numbers_are_averaged_over_ranks_by_name(group: list[dict[str, Any]]) -> None:
    for results in group:
        assert results["mean"] == pytest.approx({"a": 0.1, "b": 1.5 * (len(group) - 1)}, rel=1e-12)


def test_one_process_is_rank_zero_of_one() -> None:
    assert (rank(), world_size()) == (0, 1)


def test_one_process_gathers_its_own_rows_and_reports_its_own_numbers() -> None:
    rows = torch.randn(3, 2)
    assert gather_rows(rows) is rows
    assert average_over_ranks({"a": 0.1, "b": 3.0}) == {"a": 0.1, "b": 3.0}
