"""Named sounds of further games and desktops, and further names in packages that are known.

OpenSFX, which is the test, is one file that holds its sounds and says what each is.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from corpus.clips import Clip, Materials, Source
from corpus.download import CorpusError, Package
from corpus.effects import Rules, capped, clip_of, distinct, effects_in, small_enough, within_size
from corpus.sources import game_effects, more_effects, named_sounds
from corpus.splits import split_of

OPENSFX = Package(
    "debian",
    "openttd-opensfx",
    "1.0.3-2",
    "2898b4677a3caccc4abc08fb4cf83319047b5a04729291deb5c77a8cd713c006",
)
_NEW = (
    ("brainparty-data", "0.61+dfsg-7",
     "fc01026824b6274eff222c9163ba134fc90889bd7d688091ffdee8e12cefc4d4"),
    ("foobillardplus-data", "3.43~svn170+dfsg-7",
     "48adfd599afdbcbc008fffdf982c5bb18ac62286dc012ac88e9b8abc556a28f4"),
    ("gnome-shell-pomodoro-data", "0.22.1-1",
     "15a5e49f27b433b2615f4e2ac9878f6d065c1a75b9f31101bd4dbd05f80e1777"),
    ("lincity-ng-data", "2.9~git20150314-5",
     "8f5e85bd42879abdc7099b035d7a3d7468eceb6b93b52a12270c28f3f3c792f9"),
    ("linphone-common", "5.1.65-4",
     "4d6fa3b4401a7f320387351241a917b9945f8afbe342ab8bbf5ac8cec4713bfa"),
    ("lugaru-data", "1.2-6",
     "6a25e8d2d7c2d94b7873669d1f52137b2ba56e86ba5c2f08fefeacd65e526023"),
    ("minetest-mod-homedecor", "20210327.1-2",
     "555d078c37e2a26a66aea20affa8031ea7ff05e9def7c2f9eb60cd422feb9f6c"),
    ("oxygen-sounds", "4:5.27.5-2",
     "2230772aea70fb6508a38eeb8fb29f56357d9e00751477fe1954057c41541960"),
    ("scorched3d-data", "44+dfsg-8",
     "b0be0a6d561966a62b1f135e0e6f5681c85f12e34ecad5777cb1af9fbcb7f1da"),
    ("searchandrescue-data", "1.3.0-1.1",
     "0036c09a92a90a2ce4ac3dde026bb90cc306cd1964f24749c0229926ff36d1d3"),
    ("simutrans-pak64", "121.0-1",
     "46c8420e162941e6d87382b43c508b1dbf48015fcd782f0c4425952ba72745cc"),
    ("tuxpaint-data", "1:0.9.28-sdl2-1",
     "f5d0de8f9a70d2efc1241d19f26168cb8bf279f1b77abd3631e7a1a55c40e5e5"),
    ("tuxtype-data", "1.8.3-5.1",
     "62f85e2c6d6820efbaf1d914039b50c070bf5899b1d1d14aea00cebca14f4c78"),
)  # fmt: skip
_KNOWN = {
    one.name: one
    for one in (*game_effects.PACKAGES, *more_effects.PACKAGES, *named_sounds.PACKAGES)
}
# the patterns of a package, searched in the paths of its sounds; then the label
RULES: Mapping[str, Rules] = {
    "brainparty-data": (
        (r"/baa", "sheep"), (r"/meow", "cat"), (r"/balloon_pop", "balloon pop"),
        (r"/bubble", "bubbles"), (r"/card_flip", "cards"), (r"/glass_break", "breaking glass"),
        (r"/gun\d", "gunshot"), (r"/(explosion|soft_boom)", "explosion"),
        (r"/(zap|electricity)", "electric spark"), (r"/swoosh", "whoosh"), (r"/beep", "beep"),
    ),
    "foobillardplus-data": (
        (r"/applause", "applause"),
        (r"/(ballinhole|oneballontable|shuffleballs|smack)", "billiard balls"),
    ),
    "gnome-shell-pomodoro-data": (
        (r"/(clock|timer)\.", "clock tick"), (r"/birds\.", "bird"), (r"/(loud-)?bell\.", "bell"),
    ),
    "lincity-ng-data": (
        (r"/RailTrain", "train"), (r"/Trafic", "traffic"), (r"/SportsCroud", "cheering"),
        (r"/Blacksmith", "hammer"), (r"/Fire\d", "fire crackling"),
        (r"/Rocket(Takeoff)?\d", "rocket"), (r"/RocketExplosion", "explosion"),
        (r"/(Water|ParklandLake)\d", "water"),
    ),
    "linphone-common": (
        (r"/oldphone", "telephone"), (r"/ringback", "beep"),
    ),
    "lugaru-data": (
        (r"/Alarm\.", "siren"), (r"/Bark\d?\.", "dog bark"),
        (r"/(BarkGrowl|Growl\d?|Snarl\d?)\.", "wolf"), (r"/Clank", "metal clank"),
        (r"/FireStart|/Fire\.", "fire crackling"), (r"/FootStep", "footsteps"),
        (r"/Hawk", "bird"), (r"/Knife(Draw|Sheathe|Slice)|/Sword", "sword"),
        (r"/(High|Mid|Low|Move)?Whoosh\.|/KnifeSwish", "whoosh"), (r"/RabbitChitter", "rabbit"),
        (r"/Wind\.", "wind"),
    ),
    "minetest-mod-homedecor": (
        (r"doorbell", "doorbell"), (r"toilet_flush", "toilet flush"), (r"shower|faucet", "water"),
        (r"insert_coin", "coins"), (r"/toaster", "toaster"), (r"door_(open|close)", "door"),
        (r"fire_small", "fire crackling"),
    ),
    "oxygen-sounds": (
        (r"Phone-Ring", "telephone"),
    ),
    "scorched3d-data": (
        (r"misc/carhorn", "car horn"), (r"misc/(firetruck|policecar)", "siren"),
        (r"misc/cessna", "airplane"), (r"misc/cheeringloop", "cheering"),
        (r"misc/citysounds", "traffic"), (r"misc/(cows|moo)", "cow"), (r"misc/dog", "dog bark"),
        (r"misc/helicopter", "helicopter"), (r"misc/factoryloop", "machine"),
        (r"misc/rooster", "rooster"), (r"misc/scream", "scream"), (r"misc/sheep", "sheep"),
        (r"explosions/bees\.", "insects"), (r"explosions/thunder", "thunder"),
        (r"explosions/lightning", "electric spark"),
        (r"explosions/(exp|tank|meteor)\.", "explosion"), (r"explosions/quake", "falling rocks"),
        (r"shoot/(machinegun|shotgun|tripleshot)", "gunshot"), (r"shoot/launch", "rocket"),
    ),
    "searchandrescue-data": (
        (r"sounds/helicopter_engine_(out|in)side", "helicopter"),
        (r"hh6\d/engine_inside", "helicopter"),
        (r"sounds/jet_engine_(out|in)side|jet_engine_start", "airplane"),
        (r"sounds/door_(open|close)", "door"), (r"sounds/splash", "splash"),
        (r"sounds/thunder", "thunder"),
    ),
    "simutrans-pak64": (
        (r"/boat-horn", "ship horn"), (r"/(bus|truck)\.", "engine"), (r"/buzzsaw", "saw"),
        (r"/cash", "cash register"), (r"/(comet-jet|planelow)", "airplane"),
        (r"/crossing", "level crossing"), (r"/(diesel|steam)\.", "train"),
        (r"/explosion", "explosion"), (r"/horse", "horse"), (r"/jackhammer", "jackhammer"),
        (r"/seagulls", "bird"), (r"/tree-cutting", "falling tree"), (r"/Water", "water"),
    ),
    "tuxpaint-data": (
        (r"/giggle", "laughter"), (r"/typewriterbell", "bell"), (r"/bubble", "bubbles"),
        (r"/keyclick", "keyboard click"),
    ),
    "tuxtype-data": (
        (r"sounds/alarm", "alarm clock"), (r"sounds/laser", "laser gun"),
        (r"sounds/explosion", "explosion"), (r"sounds/cheer", "cheering"),
    ),
    # further names in packages that other sources read
    "hedgewars-data": (
        (r"Sounds/whipcrack", "whip"), (r"Sounds/Whistle", "whistling"), (r"Sounds/Kiss", "kiss"),
        (r"Sounds/rubberduck", "rubber duck"), (r"Sounds/(blowtorch)", "blowtorch"),
        (r"Sounds/drillgun", "drill"), (r"Sounds/pickhammer", "jackhammer"),
        (r"Sounds/(rc)?plane\.", "airplane"), (r"Sounds/(shotgun|sniper)reload", "reloading"),
        (r"Sounds/flamethrower", "flamethrower"), (r"Sounds/steam", "steam"),
        (r"Sounds/minigun", "gunshot"), (r"Sounds/beep", "beep"),
        (r"Sounds/(sinegun|ice_beam)", "laser gun"),
    ),
    "warmux-data": (
        (r"weapons/airhammer_used", "jackhammer"), (r"weapons/aircraft_flying", "airplane"),
        (r"weapons/dynamite_fuze", "fuse"), (r"weapons/(slap)", "punch"),
        (r"weapons/blowtorch", "blowtorch"), (r"weapons/flame", "flamethrower"),
        (r"weapons/(auto_)?rocket_flying", "rocket"), (r"weapons/ricoche", "ricochet"),
        (r"weapons/anvil_collision", "metal clank"), (r"weapons/mine_beep", "beep"),
    ),
    "wesnoth-1.16-data": (
        (r"-miss", ""), (r"sounds/bat-flapping", "wings"), (r"sounds/(gold)\.", "coins"),
        (r"sounds/(ghoul|goblin|ogre|orc|troll|yeti|zombie|naga|skeleton).*-(hit|die)", "monster"),
        (r"sounds/drake-(hit|die)", "dragon"), (r"sounds/(cave-in|rumble)", "falling rocks"),
        (r"sounds/fist", "punch"), (r"sounds/(club|mace|staff|flail)", "club"),
        (r"sounds/fuse", "fuse"), (r"sounds/lightning", "electric spark"),
        (r"sounds/flame-big", "flamethrower"), (r"sounds/open-chest", "chest"),
        (r"sounds/magic|sounds/heal", "spell"),
    ),
    "megaglest-data": (
        (r"worker_harvest_wood", "chopping wood"), (r"(worker|technician)_mine", "pickaxe"),
        (r"catapult_(attack|hit)", "catapult"), (r"(evil_)?dragon_(ack|select|attack)", "dragon"),
        (r"dragon_fly|eagle_fly", "wings"),
        (r"(behemoth|daemon|golem|mummy)_(ack|select|attack)", "monster"),
        (r"(archer|guard|horseman|spearman|swordman|warrior)_(ack|select)", ""),
    ),
    "ufoai-sound": (
        (r"ambience/cricket", "insects"), (r"ambience/steam", "steam"),
        (r"ambience/(sparks|electro)|weapons/electro-taser", "electric spark"),
        (r"ambience/tv_static", "static"), (r"ambience/arcticwind", "wind"),
        (r"alienbase-bubbles", "bubbles"),
        (r"weapons/reload-(pistol|rifle|shotgun|smg|sniper)", "reloading"),
        (r"weapons/laser-|combat-airlaser", "laser gun"), (r"weapons/flamer", "flamethrower"),
        (r"weapons/melee-(swoosh|throw)", "whoosh"),
        (r"weapons/rocket-human|combat-rocket\.", "rocket"), (r"ui/beep", "beep"),
        (r"misc/breakmetal", "metal clank"),
    ),
    "openarena-data": (
        (r"sarge/gasp", "gasp"), (r"machinegun/ric", "ricochet"),
        (r"lightning/lg_hit|world/electro", "electric spark"), (r"rocket/rocklf", "rocket"),
        (r"railgun/railgf|plasma/hyprbf", "laser gun"), (r"world/lava", "lava"),
        (r"x_drowning", "bubbles"),
    ),
    "minetest-data": (
        (r"chest_(open|close)", "chest"), (r"dig_(crumbly|cracky)|gravel_dig", "digging"),
        (r"lava", "lava"), (r"dig_choppy", "chopping wood"),
        (r"dig_metal|dug_metal|place_node_metal", "metal clank"),
        (r"gunpowder_burning|tnt_ignite", "fuse"),
    ),
    "sound-theme-freedesktop": (
        (r"alarm-clock", "alarm clock"), (r"phone-incoming-call", "telephone"),
    ),
    "lomiri-sounds": (
        (r"Alarm clock", "alarm clock"),
    ),
    "gcompris-qt-data": (
        (r"animals/cat", "cat"), (r"LRTrain|railroad/.*/train", "train"),
        (r"LRApplauses", "applause"), (r"instruments/resource/tambourine", "tambourine"),
        (r"instruments/resource/triangle", "triangle"),
        (r"instruments/resource/maracas", "maracas"),
        (r"instruments/resource/castanets", "castanets"), (r"/bubble\.", "bubbles"),
        (r"mining/.*/pickaxe", "pickaxe"), (r"money/.*/money", "coins"),
        (r"memory/.*/card_flip", "cards"), (r"watercycle/.*/harbor", "ship horn"),
        (r"metal_hit", "metal clank"), (r"/dot\.|/dash\.", "beep"),
    ),
    "tuxpaint-stamps-default": (
        (r"_desc", ""), (r"emergency/firetruck", "siren"), (r"halloween/blackcat", "cat"),
        (r"halloween/bat_left", "wings"), (r"household/rubberduck", "rubber duck"),
        (r"tools/saw\.", "saw"), (r"rodents/rabbit\.", "rabbit"),
    ),
    "openttd-opensfx": (
        (r"Steam train|Diesel electric train|Steam engine|Monorail|Maglev", "train"),
        (r"Ship horn|Ferry horn", "ship horn"), (r"Toyland", ""),
        (r"plane start|[Jj]et take off", "airplane"), (r"Level crossing", "level crossing"),
        (r"Mining machinery", "machine"), (r"Electric sparking", "electric spark"),
        (r"Factory Whistle|Steam \(", "steam"), (r"Explosion", "explosion"),
        (r"Cash till", "cash register"), (r"Beep|Morse", "beep"), (r"Helicopter", "helicopter"),
        (r"bus start|Truck", "engine"), (r"Applause", "applause"), (r"Jackhammer", "jackhammer"),
        (r"car horn", "car horn"), (r"\"Sheep", "sheep"), (r"\"Cow", "cow"),
        (r"\"Horse", "horse"), (r"Building bridge", "hammer"), (r"Sawmill", "saw"),
        (r"Bubble", "bubbles"), (r"\"Wind|Heavy wind", "wind"),
        (r"Crashing tree|Falling tree", "falling tree"), (r"Chainsaw", "chainsaw"),
        (r"Bird", "bird"),
    ),
}  # fmt: skip
PACKAGES = (
    *(Package("debian", *one) for one in _NEW),
    *(_KNOWN[name] for name in RULES if name in _KNOWN),
    OPENSFX,
)
CAP = 40  # clips of a label and package


def catalogue(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What each sound of an OpenTTD sound set is said to be, and its WAV file.

    Raises:
        CorpusError: If it is no sound set.
    """
    count = (struct.unpack_from("<I", data)[0] & 0x7FFFFFFF) // 8 if len(data) > 4 else 0
    if not count or 8 * count > len(data):
        raise CorpusError("a sound set should begin with a table of its sounds")
    for number in range(count):
        at, size = struct.unpack_from("<II", data, 8 * number)
        at = (at & 0x7FFFFFFF) + 1  # after the length of the name
        start = at + data[at - 1]
        yield data[at : start - 1].decode("utf-8", "replace"), data[start : start + size]


def _unpacked_catalogue(folder: Path, target: Path) -> Path:
    """The sounds of a sound set as files that are named by what they are."""
    target.mkdir(parents=True, exist_ok=True)
    for set_file in folder.rglob("*.cat"):
        for number, (name, sound) in enumerate(catalogue(set_file.read_bytes())):
            title = name.partition(".")[0].replace("/", " ")
            (target / f"{number:02d} {title}.wav").write_bytes(sound)
    return target


def _folder(package: Package, materials: Materials) -> Path:
    folder = materials.unpacked(package)
    if package.name == OPENSFX.name:
        return _unpacked_catalogue(folder, materials.work / "opensfx-sounds")
    if package.name == named_sounds.GCOMPRIS.name:
        target = materials.work / "gcompris-further-sounds"
        return named_sounds.unpacked_resources(folder, target, RULES[package.name])
    return folder


def _clips(package: Package, materials: Materials) -> Iterator[Clip]:
    found = distinct(effects_in(_folder(package, materials), RULES[package.name]))
    split = split_of("world-sounds", package.name)
    clips = [clip_of(effect, package.name, split) for effect in capped(found, CAP)]
    yield from {clip.name: clip for clip in clips}.values()  # some files lie there in two formats


def _read(materials: Materials) -> list[Clip]:
    clips = [clip for one in small_enough(PACKAGES, materials) for clip in _clips(one, materials)]
    return within_size(clips, materials)


SOURCE = Source(
    name="world-sounds",
    title=(
        "Sounds of Brain Party, FooBillard++, GNOME Pomodoro, LinCity-NG, Linphone, Lugaru, "
        "Minetest's homedecor, Oxygen, Scorched 3D, Search and Rescue, Simutrans, Tux Paint, Tux "
        "Typing and OpenSFX, and further ones of the packages of the other sources of sounds"
    ),
    licence=(
        "GPL-2+ (FooBillard++: GPL-2), GPL-3+ (Brain Party, Linphone, Pomodoro, Oxygen: LGPL-3+), "
        "CC BY-SA 3.0 (Lugaru, OpenSFX), CC BY-SA 4.0 (homedecor), Artistic-1.0 (Simutrans); the "
        "others as in their own source: see the packages' copyright files"
    ),
    attribution=(
        "Paul Hudson; Florian Berger and Holger Schäkel; the gnome-pomodoro contributors; the "
        "LinCity-NG team; Belledonne Communications; Wolfire Games; Vanessa Ezekowitz; Nuno Povoa; "
        "Gavin Camp; WolfPack Entertainment; Hansjoerg Malthaner and the Simutrans team; Bill "
        "Kendrick; Sam Hart and Tux4Kids; Janis Lukss, Wuzzy, Richard Wheeler and the authors "
        "named in OpenSFX; and those of the other sources"
    ),
    read=_read,
    packages=PACKAGES,
    seconds=(0.1, 10.0),
)
