"""Random access to the training audio of a library (16-bit mono WAV): samples by number."""

import os
import wave
from pathlib import Path

import numpy as np

from talkies.core import Int16s, MediaError, Span
from talkies.media.library_file import INGEST_AGAIN, LibraryFile

_WAV_HEADER_BYTES = 44
_SAMPLE_BYTES = 2


class AudioReader(LibraryFile):
    """Open training audio: reads the samples of any span without reading the rest."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            MediaError: if it is missing, or is not 16-bit mono WAV of the length that its header says.
        """
        super().__init__(path, "training audio")
        try:
            with wave.open(self._file) as header:
                layout = header.getnchannels(), header.getsampwidth()
                self._samples: int = header.getnframes()
            file_bytes = os.fstat(self._file.fileno()).st_size
        except (OSError, EOFError, wave.Error) as error:
            self.close()
            raise MediaError("unreadable", f"{path} cannot be opened as training audio{INGEST_AGAIN}") from error
        if layout != (1, _SAMPLE_BYTES) or file_bytes != _WAV_HEADER_BYTES + _SAMPLE_BYTES * self._samples:
            self.close()
            raise MediaError("damaged", f"{path} is not the training audio that ingest wrote{INGEST_AGAIN}")

    def __len__(self) -> int:
        return self._samples

    def read(self, span: Span, samples_per_frame: int) -> Int16s:
        """Return the int16 samples `[S]` of a span of frames.

        Raises:
            MediaError: as `read_into`.
        """
        samples_S = np.empty(len(span) * samples_per_frame, np.int16)
        self.read_into(span, samples_S)
        return samples_S

    def read_into(self, span: Span, samples_S: Int16s) -> None:
        """Fill a buffer with the samples of a span of frames.

        Args:
            span: half-open frame numbers.
            samples_S: the buffer; its length is a whole number of samples for each frame.

        Raises:
            MediaError: if the span goes past the end.
        """
        start = span.start_frame * (len(samples_S) // len(span))
        content = self._read_bytes(_WAV_HEADER_BYTES + _SAMPLE_BYTES * start, _SAMPLE_BYTES * len(samples_S))
        if len(content) < _SAMPLE_BYTES * len(samples_S):
            raise MediaError("truncated", f"{self._path} ends before sample {start + len(samples_S)}{INGEST_AGAIN}")
        samples_S[:] = np.frombuffer(content, "<i2")


def open_wav_writer(path: Path, rate_hz: int) -> wave.Wave_write:
    """Return an open 16-bit mono WAV file to which `writeframes` appends little-endian samples."""
    file = wave.open(str(path), "wb")  # noqa: SIM115
    file.setnchannels(1)
    file.setsampwidth(_SAMPLE_BYTES)
    file.setframerate(rate_hz)
    return file
