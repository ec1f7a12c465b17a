"""A few classes and files of each data set, laid on disk as its publishers do.

Each `build_*(root, write)` returns `root`. `write(path, label)` makes one file: `stub` a few bytes, `playable` a second
that has its class's own colour and tone, and plays. No two files of a miniature have the same bytes.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from zlib import crc32

import av
import numpy as np
import numpy.typing as npt

from talkies.media import open_wav_writer

Media = Callable[[Path, int], None]
RATE_HZ, FPS, SIDE = 8_000, 8, 64
CODECS = {
    ".mp4": ("mp4", "libx264", "aac"),
    ".avi": ("avi", "mpeg4", "pcm_s16le"),
    ".webm": ("webm", "libvpx", "libopus"),
}


def stub(path: Path, label: int) -> None:
    """Write a few bytes that are the path's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"{label} {'/'.join(path.parts[-3:])}".encode())


def playable(path: Path, label: int) -> None:
    """Write a second of one colour and one tone, the label's own; bytes at the end are the path's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = "/".join(path.parts[-3:]).encode()
    if path.suffix in CODECS:
        path.write_bytes(_film(path.suffix, label) + _padding(path.suffix, own))
    else:
        with open_wav_writer(path, RATE_HZ) as file:
            file.writeframes(_tone(label, RATE_HZ, phase=crc32(own) % 997 / 997).tobytes())


def build_ucf101(root: Path, write: Media = stub) -> Path:
    """Three classes of six groups; split N tests on groups 2N - 1 and 2N."""
    classes = {"ApplyEyeMakeup": "ApplyEyeMakeup", "Archery": "Archery", "HandstandPushups": "HandStandPushups"}
    groups = range(1, 7)
    clip_of = {
        (label, group): f"{folder}/v_{name}_g{group:02d}_c01.avi"
        for label, (folder, name) in enumerate(classes.items())
        for group in groups
    }
    for (label, _), clip in clip_of.items():
        write(root / "UCF-101" / clip, label)
    lists = root / "ucfTrainTestlist"
    _lines(lists / "classInd.txt", [f"{number} {name}" for number, name in enumerate(classes, start=1)])
    for split in (1, 2, 3):
        tested = {2 * split - 1, 2 * split}
        train = [f"{clip} {label + 1}" for (label, group), clip in clip_of.items() if group not in tested]
        _lines(lists / f"trainlist0{split}.txt", train)
        _lines(lists / f"testlist0{split}.txt", [clip for (_, group), clip in clip_of.items() if group in tested])
    return root


def build_hmdb51(root: Path, write: Media = stub) -> Path:
    """Three classes of three videos of two clips and one of one; split N tests on video N, and leaves out the last."""
    for label, name in enumerate(("brush_hair", "climb", "climb_stairs")):
        clips = [(video, f"Film{video}_{name}_u_nm_np1_ba_goo_{take}.avi") for video in (1, 2, 3) for take in (0, 1)]
        clips.append((4, f"Film4_{name}_f_cm_np1_fr_med_0.avi"))
        for _, clip in clips:
            write(root / "hmdb51_org" / name / clip, label)
        for split in (1, 2, 3):
            sides = [f"{clip} {0 if video == 4 else 2 if video == split else 1} " for video, clip in clips]
            _lines(root / "testTrainMulti_7030_splits" / f"{name}_test_split{split}.txt", sides)
    return root


def build_kinetics(root: Path, write: Media = stub, *, in_classes: bool = False) -> Path:
    """Three classes, four clips each to train on and two to test on; two classes are of Kinetics-Sounds."""
    for side, count in (("train", 4), ("val", 2)):
        rows: list[Sequence[object]] = [("label", "youtube_id", "time_start", "time_end", "split")]
        for label, name in enumerate(("abseiling", "playing guitar", "singing")):
            for take in range(count):
                video = f"{side}-{label}_{take}abcd"[:11]
                rows.append((name, video, 10 + take, 20 + take, side))
                within = root / side / name.replace(" ", "_") if in_classes else root / side
                write(within / f"{video}_{10 + take:06d}_{20 + take:06d}.mp4", label)
        _table(root / f"{side}.csv", rows)
    return root


def build_ssv2(root: Path, write: Media = stub) -> Path:
    """Three labels, four clips each to train on and two to test on."""
    templates = ("Holding [something]", "Pushing [something] from left to right", "Tearing [something] into two pieces")
    labels = {name.replace("[", "").replace("]", ""): str(label) for label, name in enumerate(templates)}
    _json(root / "labels" / "labels.json", labels)
    for side, count in (("train", 4), ("validation", 2)):
        entries = []
        for label, template in enumerate(templates):
            for take in range(count):
                name = str(1000 * len(side) + 10 * label + take)
                entries.append({"id": name, "label": template.replace("[something]", "a cup"), "template": template})
                write(root / "20bn-something-something-v2" / f"{name}.webm", label)
        _json(root / "labels" / f"{side}.json", entries)
    return root


def build_ave(root: Path, write: Media = stub) -> Path:
    """Three classes, four events each to train on, one to choose on and two to test on; one clip has two events."""
    lines: list[str] = []
    for side, count in (("train", 4), ("val", 1), ("test", 2)):
        of_side = []
        for label, name in enumerate(("Church bell", "Dog", "Violin, fiddle")):
            for take in range(count):
                video = f"{side}_{label}-{take}abcd"[:11]
                of_side.append(f"{name}&{video}&good&0&1")
                write(root / "AVE" / f"{video}.mp4", label)
        lines += of_side
        if side == "train":
            of_side.append("Dog&train_0-0ab&good&0&0")
            lines.append(of_side[-1])
        _lines(root / f"{side}Set.txt", of_side)
    _lines(root / "Annotations.txt", ["Category&VideoID&Quality&StartTime&EndTime", *sorted(lines)])
    return root


def build_esc50(root: Path, write: Media = stub) -> Path:
    """Four classes, three of them of ESC-10, with a clip in each of five folds; two takes of one recording."""
    rows: list[Sequence[object]] = [("filename", "fold", "target", "category", "esc10", "src_file", "take")]
    for label, (target, category) in enumerate({0: "dog", 1: "rooster", 3: "cow", 10: "rain"}.items()):
        for fold in range(1, 6):
            for take in "AB" if (target, fold) == (0, 1) else "A":
                source = 100_000 + 100 * target + fold
                name = f"{fold}-{source}-{take}-{target}.wav"
                rows.append((name, fold, target, category, target != 3, source, take))
                write(root / "audio" / name, label)
    _table(root / "meta" / "esc50.csv", rows)
    return root


def build_dcase2014(root: Path, write: Media = stub) -> Path:
    """Three scenes, three recordings each to train on and two to test on."""
    for label, scene in enumerate(("bus", "busystreet", "office")):
        for number in (1, 2, 4):
            write(root / "scenes_stereo" / f"{scene}{number:02d}.wav", label)
        for number in (1, 7):
            write(root / "scenes_stereo_testset" / f"{scene}{number:02d}.wav", label)
    return root


def build_urbansound8k(root: Path, write: Media = stub) -> Path:
    """Three classes with a recording of two slices in each of ten folds."""
    rows: list[Sequence[object]] = [("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")]
    for label, name in enumerate(("air_conditioner", "car_horn", "children_playing")):
        for fold in range(1, 11):
            for part in (0, 1):
                source = 1000 + 100 * label + fold
                file = f"{source}-{label}-0-{part}.wav"
                rows.append((file, source, 0.5 * part, 0.5 * part + 4, 1, fold, label, name))
                write(root / "audio" / f"fold{fold}" / file, label)
    _table(root / "metadata" / "UrbanSound8K.csv", rows)
    return root


def build_vggsound(root: Path, write: Media = stub) -> Path:
    """Three classes, one with a comma, four clips each to train on and two to test on."""
    rows: list[Sequence[object]] = []
    for label, name in enumerate(("dog barking", "people marching", "wind noise, heavy")):
        for take in range(6):
            video, side = f"-vgg_{label}_{take}abcd"[:11], "train" if take < 4 else "test"
            rows.append((video, 30 * take, name, side))
            write(root / "video" / f"{video}_{30 * take:06d}.mp4", label)
    _table(root / "vggsound.csv", rows)
    return root


def build_audioset(root: Path, write: Media = stub) -> Path:
    """Three classes; four segments in each list, the first two of which have two labels."""
    codes = ("/m/09x0r", "/m/05zppz", "/t/dd00003")
    names = ("Speech", "Male speech, man speaking", "Male singing")
    rows = [("index", "mid", "display_name"), *zip(range(3), codes, names, strict=True)]
    _table(root / "class_labels_indices.csv", rows)
    file_names = ("{}.wav", "Y{}.wav", "{}_30.000.wav", "{}_000030.wav")
    for name in ("balanced_train_segments", "unbalanced_train_segments", "eval_segments"):
        lines = [
            "# Segments csv created Sun Mar  5 10:54:31 2017",
            "# num_ytids=4, num_segs=4, num_unique_labels=3, num_positive_labels=6",
            "# YTID, start_seconds, end_seconds, positive_labels",
        ]
        for take, file_name in enumerate(file_names):
            video = f"{name[:2]}-{take}_abcdef"[:11]
            named = codes[take % 3] + (f",{codes[(take + 1) % 3]}" if take < 2 else "")
            lines.append(f'{video}, 30.000, 40.000, "{named}"')
            write(root / name / file_name.format(video), take % 3)
        _lines(root / f"{name}.csv", lines)
    return root


def build_speech_commands(root: Path, write: Media = stub) -> Path:
    """Three words of six speakers, the fourth for validation, the fifth for testing; noise is no class."""
    speakers = ("026290a7", "0a2b400e", "1b4c9b89", "2aa787cf", "3b852f6f", "004ae714")
    listed: dict[int, list[str]] = {3: [], 4: []}
    for label, word in enumerate(("bed", "cat", "wow")):
        for number, speaker in enumerate(speakers):
            for take in (0, 1):
                clip = f"{word}/{speaker}_nohash_{take}.wav"
                write(root / clip, label)
                listed.get(number, []).append(clip)
    write(root / "_background_noise_" / "white_noise.wav", 0)
    _lines(root / "validation_list.txt", listed[3])
    _lines(root / "testing_list.txt", listed[4])
    return root


def build_folder(root: Path, write: Media = stub, *, suffix: str = ".mp4", sides: Sequence[str] = ()) -> Path:
    """Two classes of six files named by three subjects, below each of `sides` or in the root itself."""
    for side in sides or (".",):
        for label, name in enumerate(("fall", "walk")):
            for take in range(6):
                own = f"{side}-" if sides else ""
                write(root / side / name / f"{own}s{take % 3}_{take}{suffix}", label)
    return root


@cache
def _film(suffix: str, label: int) -> bytes:
    """Return a second of a square of one colour and a tone."""
    kind, video_codec, audio_codec = CODECS[suffix]
    rate_hz = 48_000 if audio_codec == "libopus" else RATE_HZ
    colour = np.full((SIDE, SIDE, 3), [(60 + 70 * label) % 256, (200 - 50 * label) % 256, (90 * label) % 256], np.uint8)
    buffer = BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        video = container.add_stream(video_codec, rate=FPS)
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv420p"
        video.codec_context.thread_count = 1
        audio = container.add_stream(audio_codec, rate=rate_hz, layout="mono")
        for number in range(FPS):
            frame = av.VideoFrame.from_ndarray(np.roll(colour, number, axis=1), format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(_tone(label, rate_hz)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = rate_hz, 0
        container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return buffer.getvalue()


@cache
def mute_film() -> bytes:
    """Return a second of pictures without a track of sound."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=FPS)
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv420p"
        for number in range(FPS):
            frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return buffer.getvalue()


def _tone(label: int, rate_hz: int, phase: float = 0.0) -> npt.NDArray[np.int16]:
    """Return a second of a sine of 300 Hz and more, begun at `phase` of its turn."""
    turns_S = (300 + 150 * label) * np.arange(rate_hz) / rate_hz + phase
    return (9_000 * np.sin(2 * np.pi * turns_S)).astype("<i2")


def _padding(suffix: str, own: bytes) -> bytes:
    """Return an element with bytes that players skip: an MP4 `free` box, a RIFF `JUNK` chunk, a Matroska `Void`."""
    own = own[-100:] + b" " * (len(own[-100:]) % 2)
    if suffix == ".mp4":
        return (8 + len(own)).to_bytes(4, "big") + b"free" + own
    if suffix == ".avi":
        return b"JUNK" + len(own).to_bytes(4, "little") + own
    return bytes([0xEC, 0x80 | len(own)]) + own


def edit(path: Path, old: str, new: str) -> None:
    """Put `new` where a list says `old` for the first time."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _table(path: Path, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
