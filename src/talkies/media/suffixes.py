"""Which files of a folder are taken for media: by their suffix, for looking into every file would cost too much."""

from pathlib import PurePosixPath

FILM_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gxf", ".h264", ".h265", ".hevc", ".ivf", ".m1v"}
    | {".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm"}
    | {".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"}
)
OTHER_MEDIA_SUFFIXES = frozenset(
    {
        ".aac",
        ".ac3",
        ".aif",
        ".aiff",
        ".amr",
        ".ape",
        ".dts",
        ".eac3",
        ".flac",
        ".heic",
        ".heif",
        ".m4a",
        ".mka",
        ".mp2",
    }
    | {".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)
"""Media that is seldom a film; an audit gives it a verdict too, for a suffix can be wrong."""


def looks_like_film(name: str) -> bool:
    """Return whether a file of this name (or path, or URL) is taken for a film."""
    return PurePosixPath(name).suffix.lower() in FILM_SUFFIXES


def looks_like_media(name: str) -> bool:
    """Return whether a file of this name (or path, or URL) is taken for a film or other media."""
    return PurePosixPath(name).suffix.lower() in FILM_SUFFIXES | OTHER_MEDIA_SUFFIXES
