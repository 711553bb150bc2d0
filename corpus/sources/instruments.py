"""Drum hits, cymbals and guitar chords: Hydrogen's drum kits and Sonic Pi's samples."""

from corpus.clips import Source
from corpus.download import Package
from corpus.effects import reader

PACKAGES = (
    Package(
        "debian",
        "hydrogen-drumkits",
        "2017.09.19~dfsg-1",
        "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4",
    ),
    Package(
        "debian",
        "hydrogen-drumkits-effects",
        "2017.09.19~dfsg-1",
        "4ca3ff30e89d044952ad8a4ed28c60e8e5e1f8fec0ddcf0e1e7e2c84ce2975c8",
    ),
    Package(
        "npm",
        "supersonic-scsynth-samples",
        "0.84.2",
        "aff0b03208adb5dc7612dc7a4e86d55161188326bcff4dbc2d20ce9e1b94238c",
    ),
)
_WORD = r"(^|[/_ -])"  # where a word of a file name begins
RULES = (
    (r"GuitarStrums/|samples/guit_em9", "guitar"),
    (r"rumpf_kit|emptySample|samples/(loop|elec|glitch|arovane|tbd|perc)_", ""),
    (r"Cowbell|agogo|(^|[ _])bell", ""),
    (_WORD + r"(crash|ride|china|splash|hi-?hat|hh|cymbal|drum_cymbal|drum_splash|hat_)", "cymbal"),
    (
        _WORD + r"(kick|snare|tom|floortom|bassdrum|conga|djembe|rsnare|jsnare|tabla|drum_|"
        r"(bd|sd|sn)_)",
        "drum",
    ),
)
CAP = 60  # clips of a label


SOURCE = Source(
    name="instruments",
    title="Drums, cymbals and guitar chords of Hydrogen's drum kits and Sonic Pi",
    licence="CC0, CC BY 3.0, CC BY-SA 3.0, GPL-2+: by kit, see the packages' copyright files",
    attribution=(
        "The kits' authors in the copyright files of hydrogen-drumkits and "
        "hydrogen-drumkits-effects (guitar strums: belofilms); Sonic Pi's samples by contributors "
        "of freesound.org, listed in the package"
    ),
    read=reader(PACKAGES, RULES, CAP),
    packages=PACKAGES,
    seconds=(0.15, 10.0),
)
