"""The values that travel between packages, exact time, and the one exception tree.

The values that hold tensors are imported on first use: importing PyTorch takes seconds and memory, which a worker that
only decodes, or a command that only lists, can save.
"""

from typing import TYPE_CHECKING

from talkies.core.arrays import Bools, Float32s, Float64s, Int16s, Int32s, Int64s, UInt8s
from talkies.core.bars import Bars, BarSpan, Rectangle, find_largest_bars
from talkies.core.errors import (
    ConfigError,
    LibraryError,
    MediaError,
    PlanError,
    ReportedError,
    RunError,
    SourceError,
    TalkiesError,
    UsageError,
    WorkError,
)
from talkies.core.failures import explain_failure, is_unexpected
from talkies.core.film_id import FilmId, parse_film_id
from talkies.core.framing import (
    PADDING_CHROMA,
    PADDING_LUMA,
    Framing,
    expand_requests,
    find_square,
    list_places,
)
from talkies.core.inputs import (
    AudioInput,
    ClapInput,
    FilterbankInput,
    SpectrogramInput,
    VideoInput,
    WaveformInput,
    WhisperInput,
)
from talkies.core.modality import MODALITIES, Modality, ModalityChoice
from talkies.core.names import (
    escape_controls,
    escape_json,
    format_path,
    normalize_name,
    path_to_text,
    quote_path,
    replace_surrogates,
    replace_undecodable,
    text_to_path,
)
from talkies.core.spacing import evenly_spaced
from talkies.core.spans import SpanTable, locate_film_starts
from talkies.core.time import ClipShape, Grid, Span
from talkies.core.words import describe_os_error, format_count, suggest_nearest
from talkies.core.yuv import (
    average_blocks,
    choose_block_side,
    crop_middle_square,
    crop_square,
    join_planes,
    middle_offset,
    picture_height,
    split_planes,
    yuv_rows,
)

if TYPE_CHECKING:
    from talkies.core.values import Clip, ClipBatch, ClipRequest, ClipStarts, Embeddings, list_starts, to_device

__all__ = [
    "MODALITIES",
    "PADDING_CHROMA",
    "PADDING_LUMA",
    "AudioInput",
    "BarSpan",
    "Bars",
    "Bools",
    "ClapInput",
    "Clip",
    "ClipBatch",
    "ClipRequest",
    "ClipShape",
    "ClipStarts",
    "ConfigError",
    "Embeddings",
    "FilmId",
    "FilterbankInput",
    "Float32s",
    "Float64s",
    "Framing",
    "Grid",
    "Int16s",
    "Int32s",
    "Int64s",
    "LibraryError",
    "MediaError",
    "Modality",
    "ModalityChoice",
    "PlanError",
    "Rectangle",
    "ReportedError",
    "RunError",
    "SourceError",
    "Span",
    "SpanTable",
    "SpectrogramInput",
    "TalkiesError",
    "UInt8s",
    "UsageError",
    "VideoInput",
    "WaveformInput",
    "WhisperInput",
    "WorkError",
    "average_blocks",
    "choose_block_side",
    "crop_middle_square",
    "crop_square",
    "describe_os_error",
    "escape_controls",
    "escape_json",
    "evenly_spaced",
    "expand_requests",
    "explain_failure",
    "find_largest_bars",
    "find_square",
    "format_count",
    "format_path",
    "is_unexpected",
    "join_planes",
    "list_places",
    "list_starts",
    "locate_film_starts",
    "middle_offset",
    "normalize_name",
    "parse_film_id",
    "path_to_text",
    "picture_height",
    "quote_path",
    "replace_surrogates",
    "replace_undecodable",
    "split_planes",
    "suggest_nearest",
    "text_to_path",
    "to_device",
    "yuv_rows",
]


def __getattr__(name: str) -> object:
    if name in {"Clip", "ClipBatch", "ClipRequest", "ClipStarts", "Embeddings", "list_starts", "to_device"}:
        from talkies.core import values

        return getattr(values, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
