"""What the public encoders of a model need of a library, and whether it gives that."""

from talkies.core import LibraryError
from talkies.core.inputs import Needs
from talkies.library import Profile, describe_shortfall
from talkies.models import TwoTower


def find_needs(model: TwoTower) -> Needs:
    """Return what a model's public encoders need: pictures of their size, and sound of their rate."""
    video, audio = model.video_input, model.audio_input
    return Needs(short_side=video.size if video else None, audio_rate_hz=audio.rate_hz if audio else None)


def check_profile(model: TwoTower, profile: Profile, name: str, library: str = "the library") -> None:
    """Check that a library gives what a model's public encoders need.

    Args:
        model: the model.
        profile: the library's profile.
        name: what to call the model in the message.
        library: what to call the library.

    Raises:
        LibraryError: if it gives less; the sentence has the command that makes one that gives enough.
    """
    needs = find_needs(model)
    if not profile.meets(needs):
        raise LibraryError(describe_shortfall(name, needs, library, profile))
