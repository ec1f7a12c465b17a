"""The model of a run's checkpoint, with the public encoders that it began with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from talkies.config import check, read_yaml
from talkies.core import Modality, RunError
from talkies.models import AdaptationConfig, ModelConfig, TwoTower, build_model, load_learnt
from talkies.models.public import PublicTower
from talkies.runs.bases import open_bases
from talkies.runs.checkpoint import Checkpoint, select_model_weights
from talkies.runs.run_folder import RunFolder
from talkies.runs.trust import check_trust


@dataclass(frozen=True, slots=True)
class RunModel:
    """The model of a checkpoint, and what describes it.

    `towers` are the public encoders that it has, which share their modules with `model`.
    """

    run: Path
    checkpoint: Checkpoint
    model: TwoTower
    towers: Mapping[Modality, PublicTower]
    config: ModelConfig
    adaptation: AdaptationConfig


def load_run_model(
    run: Path, step: int | None = None, *, needs_base_weights: bool = False, trust_code: bool = False
) -> RunModel:
    """Return the model of a run's checkpoint.

    Args:
        run: the run's folder.
        step: the checkpoint's step; None takes the newest.
        needs_base_weights: whether all weights that its public encoders came with must be there.
        trust_code: whether to run the code that the run names.

    Raises:
        RunError: if there is no such run or checkpoint, it is damaged, or a public encoder is gone or another one.
    """
    folder = RunFolder(run)
    checkpoint, record = folder.get_checkpoint(step), folder.read_record()
    values, where = read_yaml(folder.config_path), str(folder.config_path)
    config = check(ModelConfig, values.get("model", {}), where)
    adaptation = check(AdaptationConfig, values.get("adaptation", {}), where)
    check_trust((config.video, config.audio), run, trust_code=trust_code)

    weights = select_model_weights(checkpoint.read_encoder_weights())
    towers = open_bases(record.bases, adaptation, run, needs_weights=needs_base_weights)
    with torch.random.fork_rng(devices=[]):  # the first random weights are all replaced
        model = build_model(config, adaptation, towers)
    try:
        load_learnt(model, weights)
    except RuntimeError as error:
        raise RunError(f"the weights in {checkpoint.folder} are not of the model in {where}") from error
    return RunModel(run, checkpoint, model, towers, config, adaptation)
