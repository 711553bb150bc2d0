"""Sound effects of two games, labelled by their file names."""

from corpus.clips import Source
from corpus.download import Package
from corpus.effects import reader

PACKAGES = (
    Package(
        "debian",
        "ufoai-sound",
        "2.5-2",
        "0224308c10e1265581d1829f19eaef031175390fd0eafeb4a1d558ac6561ed4e",
    ),
    Package(
        "debian",
        "minetest-data",
        "5.6.1+dfsg+~1.9.0mt8+dfsg-2",
        "91371dd2bd51cfcd4fa60c138667989a47047dfe1a47f7523b9ad1782d397585",
    ),
)
RULES = (
    (r"footsteps/(water|splash)|water_footstep|water-impact", "splash"),
    (r"footsteps/(?!hitground|stand|crouch)|_footstep", "footsteps"),
    (r"doors/(?!creak)|doors_.*door", "door"),
    (r"breakglass|break_glass", "breaking glass"),
    (r"weapons/explosion(?!-(plasma|smoke|flashbang))|combat-explosion|tnt_explode", "explosion"),
    (r"weapons/bullet-(?!.*(needler|bolter|flechette|gauss))", "gunshot"),
    (r"(soldiers|civilians)/.*(death|hurt|scream)", "cry of pain"),
    (r"ambience/(small)?fire(?!soft)|fire_(fire|large|small)", "fire crackling"),
    (r"ambience/thunder", "thunder"),
    (r"ambience/water|env_sounds_water", "water"),
    (r"ugv/diesel", "engine"),
)
CAP = 60  # clips of a label


SOURCE = Source(
    name="game-effects",
    title="Sound effects of UFO: Alien Invasion and Minetest",
    licence="GPL-2+, CC BY-SA 3.0, CC BY 3.0, CC0: by file, see the packages' copyright files",
    attribution=(
        "The UFO:AI team and the authors in ufoai-sound's copyright file; Minetest developers and "
        "the authors in minetest-data's copyright file"
    ),
    read=reader(PACKAGES, RULES, CAP),
    packages=PACKAGES,
    seconds=(0.15, 10.0),
)
