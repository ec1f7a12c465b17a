"""Which tracks of a transport stream belong to which programme, from its tables (ISO/IEC 13818-1, section 2.4.4).

FFmpeg knows it too, but PyAV does not pass it on.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_SYNC_BYTE = 0x47
_PACKET_BYTES = (188, 192, 204)  # plain, with a time code in front (M2TS), with error correction behind
_TABLE_BYTES = 4 << 20  # of the file, in which the tables are looked for: they come several times a second
_SYNC_PACKETS = 32  # which all begin with the sync byte, at the start of the file and after damage
_STUFFING = 0xFF
_PAT_PID, _PAT_ID, _PMT_ID = 0, 0, 2


def read_programmes(path: Path) -> Mapping[int, int]:
    """Return the number of the programme of each elementary stream, by its PID; empty without readable tables."""
    try:
        with path.open("rb") as file:
            payloads = _collect_payloads(file.read(_TABLE_BYTES))
    except OSError:
        return {}
    programme_of: dict[int, int] = {}
    pmt_pids = dict(_read_programme_tables(payloads.get(_PAT_PID, [])))
    for programme, pmt_pid in pmt_pids.items():
        pids = _read_elementary_pids(payloads.get(pmt_pid, []), programme)
        programme_of |= {pid: programme for pid in pids if pid not in programme_of}
    return programme_of


class _Payload(NamedTuple):
    """The payload of a packet, and whether a section starts in it."""

    starts: bool
    content: bytes


def _collect_payloads(content: bytes) -> dict[int, list[_Payload]]:
    """Return the payloads of each PID's packets; nothing if the bytes are not a transport stream."""
    payloads: dict[int, list[_Payload]] = {}
    for packet in _find_packets(content):
        if packet[3] & 0x10:
            payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]  # after the adaptation field
            pid = (packet[1] & 0x1F) << 8 | packet[2]
            payloads.setdefault(pid, []).append(_Payload(bool(packet[1] & 0x40), payload))
    return payloads


def _find_packets(content: bytes) -> list[bytes]:
    """Return the packets of a transport stream, of the size that most of it has; damaged stretches are skipped."""
    best: list[bytes] = []
    for size in _PACKET_BYTES:
        best = max(best, list(_iterate_packets(content, size)), key=len)
        if len(best) > len(content) // size // 2:
            break
    return best


def _iterate_packets(content: bytes, size: int) -> Iterator[bytes]:
    """Yield packets at a distance of `size` bytes; after anything else, from where many sync bytes follow in step."""
    at, in_step = 0, False
    while 0 <= at <= len(content) - 188:
        if not in_step:
            following = content[at : at + _SYNC_PACKETS * size : size]
            in_step = len(following) >= 4 and set(following) == {_SYNC_BYTE}
        if in_step and content[at] == _SYNC_BYTE:
            yield content[at : at + 188]
            at += size
        else:
            at, in_step = content.find(_SYNC_BYTE, at + 1), False


def _read_sections(payloads: list[_Payload], table_id: int) -> Iterator[bytes]:
    """Yield the bodies of a table's sections, without header and checksum; what is damaged is left out."""
    waiting = b""
    for starts, content in payloads:
        if starts:  # after a pointer to the section, and the end of the one before
            waiting = content[1 + content[0] :] if content else b""
        elif waiting:
            waiting += content

        while len(waiting) >= 3 and waiting[0] != _STUFFING:
            length = (waiting[1] & 0x0F) << 8 | waiting[2]
            if len(waiting) < 3 + length:
                break
            if waiting[0] == table_id and length >= 9:
                yield waiting[3 : 3 + length - 4]
            waiting = waiting[3 + length :]


def _read_programme_tables(payloads: list[_Payload]) -> Iterator[tuple[int, int]]:
    """Yield the number of each programme and the PID of its table."""
    for section in _read_sections(payloads, _PAT_ID):
        for at in range(5, len(section) - 3, 4):
            programme = section[at] << 8 | section[at + 1]
            if programme:  # 0 is the network's table
                yield programme, (section[at + 2] & 0x1F) << 8 | section[at + 3]


def _read_elementary_pids(payloads: list[_Payload], programme: int) -> list[int]:
    """Return the PIDs of a programme's streams, by all tables that name it."""
    pids = []
    for section in _read_sections(payloads, _PMT_ID):
        if section[0] << 8 | section[1] == programme and len(section) >= 9:
            at = 9 + ((section[7] & 0x0F) << 8 | section[8])
            while at + 5 <= len(section):
                pids.append((section[at + 1] & 0x1F) << 8 | section[at + 2])
                at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
    return pids
