"""Sound effects of further games and of desktop themes, labelled by their file names."""

from collections.abc import Iterator, Mapping

from corpus.clips import Clip, Materials, Source
from corpus.download import Package
from corpus.effects import (
    Rules,
    capped,
    clip_of,
    distinct,
    effects_in,
    small_enough,
    within_size,
)

PACKAGES = (
    Package(
        "debian",
        "megaglest-data",
        "3.13.0-3",
        "ed4783d9fc78e201a548b266f7c30325eb16cfd58a20bf4597dd6e622f84a07e",
    ),
    Package(
        "debian",
        "wesnoth-1.16-data",
        "1:1.16.9-1",
        "1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
    ),
    Package(
        "debian",
        "hedgewars-data",
        "1.0.2-6",
        "722225903a72604403e6e0026e40e9a6953f47a74d94efc5f55504bc05bb4761",
    ),
    Package(
        "debian",
        "openarena-data",
        "0.8.5split-14",
        "fa68862434f02a826b7ef22008f25f406623abf4e37113c1bfab5460065483c8",
    ),
    Package(
        "debian",
        "warmux-data",
        "1:11.04.1+repack2-4",
        "cceec72afcc9d5b0515149eb505bf0d883bd47399e602b30a805cafa2d91eb70",
    ),
    Package(
        "debian",
        "bucklespring-data",
        "1.4.0-2",
        "2add9f5583b3afc9c0b528066f4578baff930b74d4a94c8a25d103ef79a444e5",
    ),
    Package(
        "debian",
        "lomiri-sounds",
        "22.02-1",
        "d4a8fd0247e43e784ad75c11312d1f0e08a0ced6a4cfaadde3dcf118ab4e9abf",
    ),
    Package(
        "debian",
        "sound-theme-freedesktop",
        "0.8-2",
        "135cc4893ba590d428577bc3bf42df756a165c05a2a43f84311ad7db779a70ea",
    ),
)
_MEN = r"(archer|guard|horseman|princess|spearman|stickfighter|swordman|technician|worker)"
RULES: Mapping[str, Rules] = {
    "megaglest-data": (
        (r"flying_valkyrie|/romans/|arrow_?hit", ""),
        (rf"sounds/{_MEN}_die", "cry of pain"),
        (r"sounds/(guard|horseman|swordman)_attack", "sword"),
        (r"sounds/archer_attack", "bow"),
        (r"sounds/horseman_walk", "horse"),
        (r"sounds/pig_(ack|select|attack)", "pig"),
        (r"sounds/(cow|bull)_(ack|select)|mudchute_cow", "cow"),
        (r"sounds/sheep\d", "sheep"),
        (r"sounds/chicken_(ack|select|standing)", "chicken"),
        (r"elephant/sounds/ele\d", "elephant"),
        (r"sounds/snake_attack", "snake"),
        (r"sounds/bee\d|(autumn|birch_forest|dark_forest|fernland)/sounds/night", "insects"),
        (r"sounds/(hawk|owl)|(birch_forest|fernland)/sounds/day", "bird"),
        (r"thunderbird/sounds/eagle_(ack|select)", "bird"),
        (r"sounds/rooster", "rooster"),
        (r"tilesets/.*/wolf", "wolf"),
        (r"tilesets/.*/rain", "rain"),
        (r"tilesets/.*/wind", "wind"),
        (r"wicker_fire", "fire crackling"),
        (r"sounds/anvil", "hammer"),
        (r"sounds/(machine_walk|orni_(fly|standing))", "machine"),
    ),
    "wesnoth-1.16-data": (
        (r"sounds/(human|elf).*-(hit|die)", "cry of pain"),
        (r"-miss", ""),
        (r"sounds/(dwarf|witches)-laugh", "laughter"),
        (r"sounds/(sword|dagger|knife|axe)", "sword"),
        (r"sounds/(bow|crossbow)(?!.*fire)", "bow"),
        (r"sounds/horse-", "horse"),
        (r"sounds/wolf-", "wolf"),
        (r"sounds/hiss(-big)?\.", "snake"),
        (r"ambient/birds", "bird"),
        (r"ambient/campfire|sounds/fire\.", "fire crackling"),
        (r"sounds/(gunshot|thunderstick)", "gunshot"),
        (r"sounds/explosion", "explosion"),
        (r"1\.16/sounds/bell", "bell"),
    ),
    "hedgewars-data": (
        (r"voices/[^/]+/Laugh", "laughter"),
        (r"voices/[^/]+/(Ow\d|Ouch|Ooff\d)", "cry of pain"),
        (r"Sounds/(gun|shotgunfire)\.", "gunshot"),
        (r"Sounds/explosion", "explosion"),
        (r"Sounds/(splash|Droplet\d)", "splash"),
        (r"Sounds/bee\.", "insects"),
        (r"Sounds/steps", "footsteps"),
        (r"Sounds/hammer", "hammer"),
        (r"Sounds/shutterclick", "camera"),
    ),
    "openarena-data": (
        (r"footsteps/splash|player/watr_in", "splash"),
        (r"footsteps/(boot|clank|step)", "footsteps"),
        (r"sarge/(death|pain)", "cry of pain"),
        (r"movers/doors", "door"),
        (r"machinegun/machgf|shotgun/sshotf", "gunshot"),
        (r"rocket/rocklx", "explosion"),
        (r"world/fire\d", "fire crackling"),
        (r"world/waterfall", "water"),
        (r"world/(demon)?wind", "wind"),
        (r"world/(fan|machinerydrone|tim_(machine|pump))", "machine"),
    ),
    "warmux-data": (
        (r"weapons/(explosion|dynamite_exp)", "explosion"),
        (r"weapons/(m16|gun|shotgun)\.", "gunshot"),
        (r"misc/step", "footsteps"),
    ),
    "bucklespring-data": ((r"wav/[0-9a-f]{2}-1\.", "keyboard click"),),
    "lomiri-sounds": ((r"camera_click", "camera"), (r"Wind chime", "bell")),
    "sound-theme-freedesktop": ((r"camera-shutter", "camera"),),
}
CAP = 40  # clips of a label and package


def _clips(package: Package, materials: Materials) -> Iterator[Clip]:
    found = distinct(effects_in(materials.unpacked(package), RULES[package.name]))
    for effect in capped(found, CAP):
        yield clip_of(effect, package.name, "train")


def _read(materials: Materials) -> list[Clip]:
    clips = [clip for one in small_enough(PACKAGES, materials) for clip in _clips(one, materials)]
    return within_size(clips, materials)


SOURCE = Source(
    name="more-effects",
    title=(
        "Sound effects of MegaGlest, Battle for Wesnoth, Hedgewars, OpenArena and Warmux, key "
        "clicks of Bucklespring, camera and chime of two desktop sound themes"
    ),
    licence=(
        "CC BY-SA 3.0 (MegaGlest), GPL-2+ (Wesnoth, OpenArena, Warmux, Bucklespring), GFDL-1.3 and "
        "GPL-2 (Hedgewars), CC0 to CC BY-SA (themes): by file, see the packages' copyright files"
    ),
    attribution=(
        "The Glest and MegaGlest teams, Titus and Philipp Tscharntke; the Battle for Wesnoth "
        "contributors; the Hedgewars project; the OpenArena team; the Warmux team; Ico Doornekamp; "
        "the UBports community; the freedesktop.org sound theme's authors"
    ),
    read=_read,
    packages=PACKAGES,
    seconds=(0.1, 10.0),
)
