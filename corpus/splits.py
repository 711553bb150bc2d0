"""What is held out, of every source: one table; whatever it does not name trains.

`dev` is looked at while building and choosing. `test` is scored once, when all is chosen: no
checkpoint, threshold, example, map or augmentation may come from it.
"""

from dataclasses import dataclass

SPLITS = ("train", "dev", "test")
HELD_OUT = ("dev", "test")
ALL = "*"  # every group that the row does not name


@dataclass(frozen=True)
class HeldOut:
    """The held-out groups of a source; a group never has clips in two splits."""

    source: str
    by: str  # what a group is
    dev: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


# Of the people, those of `dev` are the ones that the set's own manifest calls so. Of the others
# the test takes those with the lowest SHA-256 of their name: four women and four men of
# speechocean762, three and three of LibriSpeech, one and one of the alphanumeric accents, and four
# of the donors of crying babies.
TEST_PEOPLE = (
    "so762_9646", "so762_2022", "so762_9633", "so762_9555",
    "so762_8585", "so762_1012", "so762_0461", "so762_3088",
    "libri_2817", "libri_32", "libri_441", "libri_8425", "libri_7226", "libri_5703",
    "alnum_R_34i05S8YXzyAyGE", "alnum_R_3f5pnhlvLlxkfu1",
    "baby_a56e2494-d2b2-480e-af0b-de9ea8f33572",
    "baby_e0cc5beb-50e5-46ef-852e-c92106216e62",
    "baby_3c51dedc-6e4c-47dd-a179-86a25e95f1ef",
    "baby_e37c323c-0edb-4942-be47-3cc0b2de00a1",
)  # fmt: skip

TABLE = (
    HeldOut("amazon-queen", "part", dev=("WITCH", "CHIEF", "LARIS", "NAOMI")),
    HeldOut("drascula", "game", dev=(ALL,)),
    HeldOut("spoken-digits", "speaker", dev=("theo", "yweweler")),
    # the release's actors 21 to 24 are not used at all
    HeldOut("ravdess", "actor", dev=("18", "19", "20"), test=("15", "16", "17")),
    HeldOut("people", "person", test=TEST_PEOPLE),
    HeldOut("kde-words", "program", dev=(ALL,)),
    HeldOut("synthetic-speech", "voice", dev=("slt",)),
    HeldOut("esc10", "fold", dev=("4",), test=("5",)),
    HeldOut("named-sounds", "package", dev=(ALL,)),
    HeldOut(
        "world-sounds",
        "package",
        dev=("gcompris-qt-data", "tuxpaint-stamps-default", "searchandrescue-data"),
        test=("openttd-opensfx",),
    ),
    HeldOut("midi", "sound font", dev=("fluidr3mono-gm-soundfont",)),
    HeldOut("more-instruments", "library", dev=("fluidr3mono-gm-soundfont",), test=("freepats",)),
    HeldOut("guards", "package", dev=("asterisk-moh-opsound-g722",), test=("glob2-data",)),
)


def split_of(source: str, group: str) -> str:
    """The split of a group of a source, such as a person, a package or a fold."""
    row = next((row for row in TABLE if row.source == source), HeldOut(source, ""))
    for name in (group, ALL):
        for split, groups in (("test", row.test), ("dev", row.dev)):
            if name in groups:
                return split
    return "train"
