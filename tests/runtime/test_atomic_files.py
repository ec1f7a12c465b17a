"""Files are replaced atomically, and what killed processes leave is removed."""

import hashlib
from pathlib import Path

import pytest

from talkies.runtime import hash_file, replace_atomically, write_atomically


def test_the_hash_of_a_file_begins_the_blake2b_256_digest_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3
    (tmp_path / "film").write_bytes(content)
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    assert hash_file(tmp_path / "film") == digest[:16]
    assert hash_file(tmp_path / "film", length=64) == digest


def test_the_hash_covers_files_of_many_chunks(tmp_path: Path) -> None:
    content = bytes(1 << 20) + b"a" * (1 << 20) + b"the end"
    (tmp_path / "film").write_bytes(content)
    assert hash_file(tmp_path / "film", 64) == hashlib.blake2b(content, digest_size=32).hexdigest()


def test_the_hash_of_an_empty_file_is_known(tmp_path: Path) -> None:
    (tmp_path / "film").touch()
    assert hash_file(tmp_path / "film") == "0e5751c026e543b2"


def test_text_replaces_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "film.json"
    path.write_text("old")
    write_atomically(path, "Größe €")
    assert path.read_bytes() == "Größe €".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_until_the_block_ends_a_reader_sees_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "film.json"
    path.write_text("old")
    with replace_atomically(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"


def write_half(path: Path) -> None:
    with replace_atomically(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("torn")


def test_a_block_that_raises_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "film.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="torn"):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_cannot_be_encoded_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "film.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        write_atomically(path, "\udcff")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_raises_before_it_writes_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="at once"), replace_atomically(tmp_path / "film.json"):
        raise RuntimeError("at once")
    assert list(tmp_path.iterdir()) == []
