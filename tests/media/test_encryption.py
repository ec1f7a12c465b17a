"""Encrypted tracks are told as such, however their container says it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from protected_files import encrypt_parts, encrypt_webm, encrypt_whole, protect_mp4

from talkies.ingestion.config import Thresholds
from talkies.ingestion.judge import judge_film
from talkies.media import probe


@pytest.fixture
def webm(tmp_path: Path, reel: Any, coded: Any) -> Path:
    pictures = [coded.picture(number, 80, 64) for number in range(30)]
    film = reel(tmp_path / "film.webm").pictures(pictures, codec="libvpx", options={"deadline": "realtime"})
    return film.sound(np.zeros((1, 57_600), np.int16), codec="libopus", rate_hz=48_000).write()  # type: ignore[no-any-return]


@pytest.mark.parametrize("encrypt", [encrypt_whole, encrypt_parts])
def test_webm_is_encrypted_whether_whole_blocks_are_or_parts(webm: Path, encrypt: Callable[[bytes], bytes]) -> None:
    clear = probe(webm)
    assert clear.video is not None
    assert clear.audio is not None
    assert not clear.video.encrypted
    assert not clear.audio.encrypted
    webm.write_bytes(encrypt_webm(webm.read_bytes(), encrypt))
    info = probe(webm)
    assert info.video is not None
    assert info.audio is not None
    assert info.video.encrypted
    assert info.audio.encrypted
    assert info.video.times.packets == clear.video.times.packets
    rejections = [reason for reason in judge_film(info, Thresholds()) if reason.rejects]
    assert [reason.code for reason in rejections] == ["encrypted", "encrypted"]


def test_a_protected_sample_entry_is_encrypted_even_if_nothing_says_how(tmp_path: Path, reel: Any, coded: Any) -> None:
    pictures = [coded.picture(number, 80, 64) for number in range(30)]
    path = reel(tmp_path / "film.mp4").pictures(pictures).sound(np.zeros((1, 19_200), np.int16), codec="aac").write()
    assert not probe(path).video.encrypted  # type: ignore[union-attr]
    path.write_bytes(protect_mp4(path.read_bytes()))
    info = probe(path)
    assert info.video is not None
    assert info.audio is not None
    assert info.video.encrypted
    assert info.audio.encrypted
