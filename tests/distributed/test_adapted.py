"""Two ranks that adapt a public encoder: DDP takes towers that are frozen in part, and both ranks stay alike."""

import sys
from pathlib import Path

import pytest
import torch
from ranks import run_ranks

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.ranks]


def test_two_ranks_adapt_an_encoder_and_leave_what_is_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trained_towers import save_checkpoint

    monkeypatch.setenv("TALKIES_TEST_CHECKPOINT", str(save_checkpoint(tmp_path / "clip", "clip")))
    one, other = run_ranks("one_adapted", (2,), tmp_path)[2]
    for train, result in one.items():
        trained = {name.removeprefix("model.") for name in result["trained"]}
        parameters = {name for name in result["after"] if not name.endswith(("running_mean", "running_var", "tracked"))}
        for name in parameters:
            # Gradients were summed over the ranks, so that both took the same steps; what is frozen stayed.
            torch.testing.assert_close(result["after"][name], other[train]["after"][name], rtol=0, atol=0)
            if name not in trained:
                assert torch.equal(result["before"][name], result["after"][name]), (train, name)
        moved = {name for name in trained if not torch.equal(result["before"][name], result["after"][name])}
        assert len(moved) > len(trained) / 2
        assert not [name for name in result["averaged"] if name in parameters - trained]
        assert result["in_optimiser"] == len(trained)
