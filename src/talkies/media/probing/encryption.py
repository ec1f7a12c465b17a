"""Which tracks their container declares encrypted, whether or not FFmpeg finds out how.

FFmpeg marks the packets of files that follow Common Encryption (ISO/IEC 23001-7) to the letter. Protected tracks of
other kinds (PIFF, FairPlay) have sample entries of their own, behind which FFmpeg shows the original codec.
"""

from pathlib import Path

from av.container import InputContainer

from talkies.media.headers import HeaderReader, UnparsableError, find_sample_entry, iterate_tracks, read_track_id

_PROTECTED_ENTRIES = frozenset({b"encv", b"enca", b"drmi", b"drms"})


def find_encrypted_tracks(path: Path, container: InputContainer) -> frozenset[int]:
    """Return the stream indices of the tracks that the container declares encrypted."""
    by_tag = {stream.index for stream in container.streams if "enc_key_id" in stream.metadata}  # Matroska and WebM
    if "mp4" not in container.format.name.split(","):
        return frozenset(by_tag)
    protected_ids = _read_protected_track_ids(path)
    return frozenset(by_tag | {stream.index for stream in container.streams if stream.id in protected_ids})


def _read_protected_track_ids(path: Path) -> set[int | None]:
    """Return the ids of the tracks of an MP4 file whose sample entry is that of a protected one."""
    ids = set()
    try:
        with path.open("rb") as file:
            reader = HeaderReader(file, file.seek(0, 2))
            for track in iterate_tracks(reader):
                entry = find_sample_entry(reader, track)
                if entry is not None and entry.name in _PROTECTED_ENTRIES:
                    ids.add(read_track_id(reader, track))
    except (UnparsableError, OSError):  # FFmpeg reads more than this reader: what it finds encrypted is
        pass
    return ids
