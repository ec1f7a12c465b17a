"""What of a model a run keeps: all of it, except what a public encoder brought and training leaves as it is."""

from collections.abc import Collection, Mapping

from torch import Tensor

from talkies.core import MODALITIES, Modality
from talkies.models.public.base import PublicEncoder
from talkies.models.public.record import PublicBase
from talkies.models.tower import Encoder, TwoTower, compute_weights_stamp, is_frozen


def needs_base(encoder: Encoder) -> bool:
    """Return whether some weights of an encoder are those of a public one, which a run does not keep."""
    if not isinstance(encoder, PublicEncoder):
        return False
    parameters = list(encoder.network.parameters())
    return not parameters or not all(parameter.requires_grad for parameter in parameters)


def find_bases(model: TwoTower) -> dict[Modality, PublicBase]:
    """Return where the weights of a model's public encoders came from."""
    return {
        modality: encoder.base
        for modality, encoder in _list_encoders(model)
        if isinstance(encoder, PublicEncoder) and encoder.base
    }


def has_unused_weights(model: TwoTower) -> bool:
    """Return whether some trained weights may not take part in the features, as mask tokens of public encoders do not."""
    return any(
        isinstance(encoder, PublicEncoder)
        and any(parameter.requires_grad for parameter in encoder.network.parameters())
        for _, encoder in _list_encoders(model)
    )


def _list_encoders(model: TwoTower) -> tuple[tuple[Modality, Encoder], ...]:
    return ("video", model.video), ("audio", model.audio)


def list_learnt_names(model: TwoTower) -> set[str]:
    """Return the names of the tensors of a model's state that a run keeps."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    left_out: list[str] = []
    for modality in MODALITIES:
        encoder = model.video if modality == "video" else model.audio
        head = model.video_head if modality == "video" else model.audio_head
        if needs_base(encoder):
            left_out += [f"{modality}.network."]
            left_out += [f"{modality}_head."] if is_frozen(head) else []
    return {name for name in model.state_dict() if name in trained or not name.startswith(tuple(left_out))}


def compute_learnt_stamp(model: TwoTower, weights: Mapping[str, Tensor]) -> str:
    """Return the stamp of a model with these learnt weights; it also depends on the weights that it has beside them."""
    encoders = dict(_list_encoders(model))
    beside = {modality: base.stamp for modality, base in find_bases(model).items() if needs_base(encoders[modality])}
    return compute_weights_stamp(weights, beside)


def load_learnt(model: TwoTower, weights: Mapping[str, Tensor], complete: Collection[Modality] = ()) -> None:
    """Set the tensors of a model that a run keeps.

    Args:
        model: the model.
        weights: the tensors by name.
        complete: the public encoders that have all their weights already.

    Raises:
        RuntimeError: if one is missing, or of another shape, or the model has no such tensor.
    """
    result = model.load_state_dict(weights, strict=False)
    there = tuple(f"{modality}.network." for modality in complete)
    missing = {name for name in result.missing_keys if not name.startswith(there)} & list_learnt_names(model)
    if missing or result.unexpected_keys:
        raise RuntimeError(f"missing: {sorted(missing)}; not of the model: {result.unexpected_keys}")
