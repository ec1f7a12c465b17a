"""The running statistics of batch norms for a checkpoint, measured with its weights.

Training needs no running statistics, so this changes nothing in what is learnt. The statistics depend only on the
weights and on the clips of the next steps: a resumed run writes the same checkpoints as an unbroken one.
"""

from collections.abc import Callable

from talkies.training.batch_norms import StatisticsCollector, average_statistics, list_measuring_norms
from talkies.training.config import TrainingConfig
from talkies.training.features.values import TrainingBatch
from talkies.training.train_state import TrainState


def prepare_statistics(
    state: TrainState, read_batch: Callable[[int], TrainingBatch], step: int, training: TrainingConfig
) -> None:
    """Set the running statistics of all batch norms, and those of the averaged weights, for a checkpoint of this step.

    They are the mean and the variance over the clips of the next `recalibration_batches` steps on all ranks, augmented
    as in training. Without such batches, they are the means over ranks of what training left behind. The checkpoint
    before the first step keeps those that the model was given. All ranks must call it.

    Args:
        state: what is trained.
        read_batch: returns this rank's share of a step's batch, on its device.
        step: the number of steps done.
        training: how many batches are measured, and the seed of their augmentations.
    """
    model, average = state.system.model, state.average
    if not step or not list_measuring_norms(model):
        return
    if not training.recalibration_batches:
        average_statistics(model)
        if average is not None:
            with average.swap_with_model():
                average_statistics(model)
        return

    collector, average_collector = StatisticsCollector(model), StatisticsCollector(model)
    for next_step in range(step, step + training.recalibration_batches):
        batch = read_batch(next_step)
        augmentations = state.stepper.draw_augmentations(batch, training.seed, next_step)[:1]
        with collector.collect():
            state.stepper.encode(batch, augmentations)
        if average is not None:
            with average.swap_with_model(), average_collector.collect():
                state.stepper.encode(batch, augmentations)

    collector.write()
    if average is not None:
        with average.swap_with_model():
            average_collector.write()
