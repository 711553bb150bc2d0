"""Held-out recordings of animals, instruments and things: GCompris and Tux Paint's stamps."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from corpus.clips import Clip, Materials, Source
from corpus.download import CorpusError, Package
from corpus.effects import (
    SUFFIXES,
    Rules,
    clip_of,
    distinct,
    effects_in,
    label_of,
    small_enough,
    within_size,
)
from corpus.splits import split_of

GCOMPRIS = Package(
    "debian",
    "gcompris-qt-data",
    "3.1-2",
    "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
)
TUXPAINT = Package(
    "debian",
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
)
PACKAGES = (GCOMPRIS, TUXPAINT)
_NAMED = (
    "accordion|banjo|cello|clarinet|harmonica|harp|piano|saxophone|trombone|trumpet|tuba|violin"
)
RULES = {
    "gcompris-qt-data": (
        *((rf"/instruments/resource/{name}\.", name) for name in _NAMED.split("|")),
        (r"/instruments/resource/guitar\.|memory-sound/.*guitar_", "acoustic guitar"),
        (r"/instruments/resource/electric_guitar\.", "electric guitar"),
        (r"/instruments/resource/flute_traversiere\.", "flute"),
        (r"/instruments/resource/horn\.", "French horn"),
        (r"/instruments/resource/organ\.", "pipe organ"),
        (r"/instruments/resource/(bongo|drum_kit|snare_drum|timpani)\.", "drum"),
        (r"/instruments/resource/cymbal\.", "cymbal"),
        (r"/melody/.*xylofon_son\d", "xylophone"),
        (r"explore_farm_animals/.*/chickens", "chicken"),
        (r"explore_farm_animals/.*/cow", "cow"),
        (r"explore_farm_animals/.*/dog|memory-sound/.*LRBark", "dog bark"),
        (r"explore_farm_animals/.*/horse", "horse"),
        (r"explore_farm_animals/.*/owl", "bird"),
        (r"explore_farm_animals/.*/pig", "pig"),
        (r"explore_farm_animals/.*/sheep", "sheep"),
        (r"memory-sound/.*LRDoor_Open", "door"),
        (r"memory-sound/.*LRFactory_noise", "machine"),
        (r"memory-sound/.*CarEngine|/traffic/.*/car\.", "engine"),
        (r"memory-sound/.*LRRain", "rain"),
        (r"canal_lock/.*/water_fill", "water"),
        (r"guessnumber/.*/helicopter", "helicopter"),
        (r"reversecount/.*/icy_walk", "footsteps"),
        (r"target/.*/arrow", "bow"),
    ),
    "tuxpaint-stamps-default": (
        (r"_desc", ""),
        (r"birds/(blackbird|crow|cuckoo|lark|owl|quetzal|seagull|tucan|vulture)\.", "bird"),
        (r"birds/hen\.", "chicken"),
        (r"birds/rooster\.", "rooster"),
        (r"insects/(bee|grasshopper|hornet|mosquito)\.", "insects"),
        (r"mammals/pig", "pig"),
        (r"mammals/elephant\.", "elephant"),
        # MegaGlest holds cow_white.ogg too
        (r"bovines/(bull|cow)\.", "cow"),
        (r"bovines/sheep", "sheep"),
        (r"dogs/dog\.", "dog bark"),
        (r"equines/horse\.", "horse"),
        (r"hobbies/camera", "camera"),
        (r"percussion/cymbal", "cymbal"),
        (r"percussion/drum", "drum"),
        (r"string/(cello)\.", "cello"),
        (r"string/(violin)\.", "violin"),
        (r"wind/bassoon\.", "bassoon"),
        (r"household/(washing-machine|vacuum_cleaner)\.", "machine"),
        (r"household/toilet\.", "water"),
        (r"tools/(hammer|mallet_metal)\.", "hammer"),
        (r"naturalforces/lightningbolt\.", "thunder"),
    ),
}

# their training sounds are in large packages, which a small corpus leaves out
NOT_IN_SMALL = frozenset({"bird", "bow", "chicken", "cow", "horse", "pig", "sheep"})


def rcc_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file in a Qt resource file that is stored plain or by zlib.

    Raises:
        CorpusError: If it is no Qt resource file.
    """
    if data[:4] != b"qres":
        raise CorpusError(f"a Qt resource file should begin with qres, found {data[:4]!r}")
    version, tree, contents, names = struct.unpack_from(">4I", data, 4)
    size = 14 if version < 2 else 22  # bytes of a node

    def visit(node: int, parent: str) -> Iterator[tuple[str, bytes]]:
        at = tree + node * size
        name, flags = struct.unpack_from(">IH", data, at)
        path = parent
        if node:  # the root has no name
            length = struct.unpack_from(">H", data, names + name)[0]
            start = names + name + 6  # after the length and a hash
            path = f"{parent}/{data[start : start + 2 * length].decode('utf-16-be')}"
        if flags & 2:  # a folder
            count, first = struct.unpack_from(">2I", data, at + 6)
            for child in range(first, first + count):
                yield from visit(child, path)
        elif not flags & 4:  # 4 is zstandard
            start = contents + struct.unpack_from(">I", data, at + 10)[0]
            content = data[start + 4 : start + 4 + struct.unpack_from(">I", data, start)[0]]
            # compressed content begins with its full size
            yield path, zlib.decompress(content[4:]) if flags & 1 else content

    return visit(0, "")


def unpacked_resources(folder: Path, target: Path, rules: Rules) -> Path:
    """The sounds of GCompris that a rule names, unpacked from its resource files."""
    for archive in sorted(folder.rglob("*.rcc")):
        for path, content in rcc_files(archive.read_bytes()):
            if Path(path).suffix in SUFFIXES and label_of(path, rules):
                file = target / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
    return target


def _clips(package: Package, materials: Materials) -> Iterator[Clip]:
    folder = materials.unpacked(package)
    if package is GCOMPRIS:
        target = materials.work / "gcompris-sounds"
        folder = unpacked_resources(folder, target, RULES[package.name])
    for effect in distinct(effects_in(folder, RULES[package.name])):
        yield clip_of(effect, package.name, split_of("named-sounds", package.name))


def _read(materials: Materials) -> list[Clip]:
    clips = [clip for one in small_enough(PACKAGES, materials) for clip in _clips(one, materials)]
    if materials.settings.size == "small":
        clips = [clip for clip in clips if clip.label not in NOT_IN_SMALL]
    return within_size(clips, materials)


SOURCE = Source(
    name="named-sounds",
    title="Sounds of GCompris and of Tux Paint's stamps",
    licence=(
        "GCompris: CC BY-SA 2.0 to 4.0, CC BY, GPL-3+ and public domain, by file, see its "
        "copyright file; Tux Paint stamps: GPL-2"
    ),
    attribution=(
        "The GCompris team and the authors in gcompris-qt-data's copyright file; "
        "the Tux Paint stamps' contributors"
    ),
    read=_read,
    packages=PACKAGES,
    seconds=(0.1, 15.0),
)
