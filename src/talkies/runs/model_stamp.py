"""The stamp that identifies the weights of a model, wherever it comes from."""

from pathlib import Path

from talkies.runs.address_encoder import is_model_address, load_address
from talkies.runs.exported_model import read_stamp


def find_stamp(model: str | Path) -> str:
    """Return the stamp of a run's newest checkpoint, of an exported model, or of public encoders.

    Args:
        model: The folder of a run or of an exported model, or the address of public encoders, which are then loaded.

    Raises:
        RunError: if there is no such run or exported model, or it has no checkpoint.
        ConfigError: if public encoders cannot be loaded.
    """
    if isinstance(model, str) and is_model_address(model):
        return load_address(model).stamp
    return read_stamp(Path(model))
