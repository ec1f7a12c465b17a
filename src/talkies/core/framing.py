"""How the pictures of a film, which are seldom square, become the squares that a model sees.

centre   ▒▒████▒▒   the square in the middle
crops    ██▒▒▒▒██   three squares, at both ends and in the middle, whose embeddings are averaged
whole    ░░░░░░░░   all of the picture, scaled down, with grey bars
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from talkies.core.bars import Rectangle

if TYPE_CHECKING:
    from talkies.core.values import ClipRequest

Framing = Literal["centre", "crops", "whole"]
CENTRE = 0.5
"""The place of the middle square along a picture's long side, from 0 to 1."""
_CROP_PLACES = (0.0, CENTRE, 1.0)
PADDING_LUMA = 115
"""Of the bars around a whole picture: the mean that models subtract from their input."""
PADDING_CHROMA = 128


def find_square(picture: Rectangle, place: float) -> Rectangle:
    """Return the largest even square of a part of a picture, at a place along its long side: 0 first, 1 last."""
    side = min(picture.width, picture.height) // 2 * 2
    down, right = (int(place * (extent - side) / 2) * 2 for extent in (picture.height, picture.width))
    return Rectangle(picture.top + down, picture.left + right, side, side)


def list_places(framing: Framing) -> tuple[float, ...]:
    """Return the places of the squares that a clip is cut into."""
    return _CROP_PLACES if framing == "crops" else (CENTRE,)


def expand_requests(requests: "Sequence[ClipRequest]", framing: Framing) -> "list[ClipRequest]":
    """Return the requests with each clip as often as it has squares, those of one clip next to each other."""
    return [replace(request, place=place) for request in requests for place in list_places(framing)]
