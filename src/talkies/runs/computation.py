"""How the networks of a run compute, as the `training` section of its config says."""

from collections.abc import Mapping
from typing import Any

from talkies.config import Config, check
from talkies.core.precision import Precision, PrecisionName


class Computation(Config):
    """The precision of a run's networks, and the memory format of their convolutions; both hold for encoding, too.

    The names are those of `TrainingConfig`, and the values without them those of its first release.
    """

    precision: PrecisionName = "32-true"
    channels_last: bool = True

    def to_precision(self) -> Precision:
        """Return the precision."""
        return Precision(self.precision)


def read_computation(sections: Mapping[str, Any], where: str) -> Computation:
    """Return how the networks of a run compute.

    Args:
        sections: the run's config by its sections.
        where: the file it comes from, for messages.

    Raises:
        ConfigError: if the config has other values than these fields accept.
    """
    training = sections.get("training", {})
    return check(Computation, {key: training[key] for key in Computation.model_fields if key in training}, where)
