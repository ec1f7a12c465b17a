"""Recognise media files by the suffix of their name; opening every file of a folder would be too slow."""

from pathlib import PurePosixPath

FILM_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gxf", ".h264", ".h265", ".hevc", ".ivf", ".m1v"}
    | {".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm"}
    | {".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"}
)
OTHER_MEDIA_SUFFIXES = frozenset(
    {".aac", ".ac3", ".aif", ".aiff", ".amr", ".ape", ".dts", ".eac3", ".flac", ".heic", ".heif", ".m4a", ".mka"}
    | {".mp2", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)
"""Media that is seldom a film; ingest gives it a verdict too, because a suffix can be wrong."""


def has_film_suffix(name: str) -> bool:
    """Return whether a file name, path or URL has the suffix of a film."""
    return PurePosixPath(name).suffix.lower() in FILM_SUFFIXES


def has_media_suffix(name: str) -> bool:
    """Return whether a file name, path or URL has the suffix of a film or other media."""
    return PurePosixPath(name).suffix.lower() in FILM_SUFFIXES | OTHER_MEDIA_SUFFIXES
