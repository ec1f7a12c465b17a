"""What `cost` measures and estimates."""

from dataclasses import dataclass

from talkies.training.profile_step import Trial


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of training as a run does it: with its loader, its log, and the steps one after the other.

    Attributes:
        clips: the clips of a step.
        steps: the number of steps that were timed.
        step_seconds: the mean duration of a step, with reading, waiting and logging.
        start_seconds: the time until steps are at full speed: the model, the readers, the log, and slow first steps.
        checkpoint_seconds: the time that a checkpoint takes: measuring the norms' statistics, and writing it.
        write_seconds: the part of it that is writing.
        peak_bytes: the peak memory of the device, or of this process on a CPU.
        worker_bytes: the memory of the processes that read clips, without what they share.
    """

    clips: int
    steps: int
    step_seconds: float
    start_seconds: float
    checkpoint_seconds: float
    write_seconds: float
    peak_bytes: int
    worker_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run takes: measured on one device of this machine, and estimated for all processes of the run.

    Attributes:
        device: the name of the device.
        processes: the number of processes, each with one device.
        steps: the number of steps of the run.
        clips: one device's share of a batch.
        clip_seconds: the duration of a clip.
        trials: the steps that were measured, with more and more clips, while nothing else ran.
        step_seconds: the duration of such a step; extrapolated in a straight line if the last trial had fewer clips.
        memory_bytes: the memory that a step needs, extrapolated likewise.
        available_memory_bytes: the memory of the device, or what is free on this machine.
        loader_workers: the number of processes that read clips.
        loader_clips_per_second: the clips that this machine reads for all its processes.
        shared_cores: the cores that reading shares with training (0: a GPU trains).
        disk_bytes: the size of the run's folder.
        available_disk_bytes: the free space on the disk.
        advice: what to change, a sentence each; with none, the run fits.
        queue_bytes: the part of the memory of a device, and of each checkpoint, that the queues of keys of all films
            take when they are full; 0 without queues.
        stretch: a stretch of training with its loader, of as many clips as the last trial; None if there was none.
        checkpoints: the checkpoints that the run writes after the first one.
        feature_seconds: the time to compute the features of frozen towers that are missing; 0 if the towers run.
    """

    device: str
    processes: int
    steps: int
    clips: int
    clip_seconds: float
    trials: tuple[Trial, ...]
    step_seconds: float
    memory_bytes: int
    available_memory_bytes: int
    loader_workers: int
    loader_clips_per_second: float
    shared_cores: int
    disk_bytes: int
    available_disk_bytes: int
    advice: tuple[str, ...]
    queue_bytes: int = 0
    stretch: Stretch | None = None
    checkpoints: int = 0
    feature_seconds: float = 0.0

    @property
    def compute_clips_per_second(self) -> float:
        """The clips per second that all devices learn from when clips are always ready."""
        return self.clips * self.processes / self.step_seconds

    @property
    def clips_per_second(self) -> float:
        """The clips per second that all devices learn from with this loader, between checkpoints."""
        if self.stretch is None:
            return self._clips_per_second_by_parts
        slowdown = self.stretch.step_seconds / self.trials[-1].seconds
        together = self.compute_clips_per_second / slowdown
        # The stretch had one process: the readers of several share the machine.
        return together if self.processes == 1 else min(together, self._clips_per_second_by_parts)

    @property
    def _clips_per_second_by_parts(self) -> float:
        """The clips per second that follow from learning and reading alone, where both were measured apart."""
        if self.shared_cores:
            reading_seconds = self.loader_workers / self.loader_clips_per_second / self.shared_cores
            return 1 / (1 / self.compute_clips_per_second + reading_seconds)
        return min(self.compute_clips_per_second, self.loader_clips_per_second)

    @property
    def waiting_share(self) -> float:
        """The share of a step spent waiting for clips, or for the cores that read them."""
        return max(0.0, 1 - self.clips_per_second / self.compute_clips_per_second)

    @property
    def hours(self) -> float:
        """The duration of the run in hours: its start, its steps, its checkpoints, and features that are missing."""
        seconds = self.steps * self.clips * self.processes / self.clips_per_second + self.feature_seconds
        if self.stretch is not None:
            seconds += self.stretch.start_seconds + self.stretch.write_seconds  # the first checkpoint is only written
            seconds += self.checkpoints * self.stretch.checkpoint_seconds
        return seconds / 3600

    @property
    def device_hours(self) -> float:
        """The duration of the run times its devices, in hours."""
        return self.hours * self.processes

    @property
    def is_measured(self) -> bool:
        """Whether a trial had a device's whole share of a batch."""
        return self.trials[-1].clips == self.clips
