"""Further sounds: by what they are called, a noun phrase and a sentence that describes them."""

ANIMALS = {
    "cat": ("a cat meowing", "A cat meows."),
    "rabbit": ("a rabbit squeaking", "A rabbit squeaks."),
    "wings": ("wings flapping", "A winged animal flaps by."),
    "dragon": ("a dragon roaring", "A dragon roars."),
    "monster": ("a monster growling", "A monster growls or screeches."),
}
PEOPLE = {
    "cheering": ("a cheering crowd", "Many people cheer and shout."),
    "applause": ("applause", "An audience claps."),
    "scream": ("a scream", "A person screams."),
    "kiss": ("a kiss", "Somebody gives a kiss."),
    "whistling": ("a whistle", "Somebody whistles loudly."),
    "gasp": ("a gasp for air", "A person gasps for air."),
}
NATURE = {
    "bubbles": ("bubbles", "Bubbles rise in a liquid."),
    "steam": ("steam hissing", "Steam escapes with a hiss."),
    "falling tree": ("a falling tree", "A tree breaks and falls."),
    "falling rocks": ("falling rocks", "Rocks rumble and fall."),
    "lava": ("bubbling lava", "Lava bubbles and spits."),
}
VEHICLES = {
    "train": ("a train", "A train rolls by or starts."),
    "airplane": ("an airplane", "An airplane flies by."),
    "car horn": ("a car horn", "A driver honks the horn."),
    "ship horn": ("a ship's horn", "A ship blows its horn."),
    "traffic": ("traffic", "Cars drive along a busy road."),
    "siren": ("a siren", "The siren of a police car or a fire truck wails."),
    "level crossing": ("the bell of a level crossing", "A level crossing rings its bell."),
    "rocket": ("a rocket", "A rocket is fired and flies off."),
}
HOUSE = {
    "telephone": ("a telephone ringing", "A telephone rings."),
    "alarm clock": ("an alarm clock", "An alarm clock goes off."),
    "doorbell": ("a doorbell", "Somebody rings the doorbell."),
    "toilet flush": ("a toilet being flushed", "A toilet is flushed."),
    "cash register": ("a cash register", "A cash register opens."),
    "coins": ("coins", "Coins clink."),
    "cards": ("playing cards", "A playing card is turned."),
    "balloon pop": ("a balloon popping", "A balloon pops."),
    "toaster": ("a toaster", "A toaster throws out its bread."),
    "chest": ("a chest", "A wooden chest is opened or closed."),
    "rubber duck": ("a rubber duck", "A rubber duck squeaks."),
    "beep": ("a beep", "A machine beeps."),
    "billiard balls": ("billiard balls", "Billiard balls knock together."),
    "static": ("radio static", "A receiver without a station hisses."),
}
WORK = {
    "saw": ("a saw", "A saw cuts through wood."),
    "jackhammer": ("a jackhammer", "A jackhammer breaks up the ground."),
    "drill": ("a drill", "A drill turns and grinds."),
    "blowtorch": ("a blowtorch", "A blowtorch burns with a hiss."),
    "chopping wood": ("wood being chopped", "An axe chops wood."),
    "pickaxe": ("a pickaxe", "A pickaxe hits stone."),
    "digging": ("digging", "Somebody digs in the ground."),
    "electric spark": ("electric sparks", "Electricity sparks and crackles."),
    "metal clank": ("clanking metal", "Pieces of metal clank."),
}
FIGHT = {
    "whip": ("a whip", "A whip cracks."),
    "punch": ("a punch", "A fist hits somebody."),
    "whoosh": ("a whoosh through the air", "Something swishes through the air."),
    "reloading": ("a gun being loaded", "A gun is loaded with a click."),
    "laser gun": ("a laser gun", "A laser gun of a game is fired."),
    "flamethrower": ("a flamethrower", "A flamethrower spits fire."),
    "catapult": ("a catapult", "A catapult is fired."),
    "fuse": ("a burning fuse", "A fuse burns with a fizz."),
    "ricochet": ("a ricochet", "A bullet bounces off with a whine."),
    "club": ("a blow with a club", "A club hits its target."),
    "spell": ("a magic spell", "A magic spell of a game is cast."),
}
THINGS = {**VEHICLES, **HOUSE, **WORK, **FIGHT}

# label -> what can be counted in it, one and many
COUNTED = {
    "dog bark": ("bark", "barks"),
    "rooster": ("crow", "crows"),
    "cow": ("moo", "moos"),
    "pig": ("grunt", "grunts"),
    "sheep": ("bleat", "bleats"),
    "snake": ("hiss", "hisses"),
    "person sneeze": ("sneeze", "sneezes"),
    "cry of pain": ("cry", "cries"),
    "footsteps": ("footstep", "footsteps"),
    "splash": ("splash", "splashes"),
    "gunshot": ("gunshot", "gunshots"),
    "explosion": ("explosion", "explosions"),
    "sword": ("sword stroke", "sword strokes"),
    "bow": ("bow shot", "bow shots"),
    "bell": ("ring", "rings"),
    "keyboard click": ("key press", "key presses"),
    "hammer": ("hammer blow", "hammer blows"),
    "drum": ("drum hit", "drum hits"),
    "cymbal": ("cymbal hit", "cymbal hits"),
    "guitar": ("chord", "chords"),
    "choir": ("note", "notes"),
    "car horn": ("honk", "honks"),
    "balloon pop": ("pop", "pops"),
    "beep": ("beep", "beeps"),
    "whip": ("crack", "cracks"),
    "punch": ("punch", "punches"),
    "laser gun": ("shot", "shots"),
    "kiss": ("kiss", "kisses"),
    "whistling": ("whistle", "whistles"),
}

PLAYED = (
    "clavinet", "celesta", "music box", "vibraphone", "marimba", "dulcimer", "Hammond organ",
    "viola", "double bass", "timpani", "muted trumpet", "English horn", "piccolo", "recorder",
    "pan flute", "ocarina", "shamisen", "koto", "kalimba", "fiddle", "shakuhachi", "taiko drum",
    "electric piano",
)  # fmt: skip
_STRUCK = (
    "a tambourine", "a cowbell", "a vibraslap", "a bongo", "a conga", "a timbale", "an agogo bell",
    "a cabasa", "maracas", "a guiro", "claves", "a wood block", "a cuica", "a triangle",
    "a hand clap", "castanets", "a jingle bell",
)  # fmt: skip
STRUCK = {
    noun.removeprefix("a ").removeprefix("an "): (noun, f"A rhythm is played with {noun}.")
    for noun in _STRUCK
}

# labels that may both be true of a clip, or are hard to tell apart
ALIKE = (
    ("cat", "rabbit"), ("wings", "bird"), ("dragon", "monster", "wolf"),
    ("cheering", "applause", "scream"), ("scream", "cry of pain", "gasp", "monster"),
    ("laughter", "cheering"), ("bubbles", "water", "splash", "lava", "rain"),
    ("steam", "static", "blowtorch", "flamethrower", "fuse", "fire crackling", "wind", "rocket"),
    ("falling tree", "falling rocks", "chopping wood", "explosion"), ("train", "engine", "steam"),
    ("airplane", "engine", "helicopter", "rocket"), ("car horn", "ship horn", "traffic", "train"),
    ("traffic", "engine"), ("siren", "alarm clock"), ("level crossing", "bell", "alarm clock"),
    ("telephone", "bell", "alarm clock", "doorbell"), ("doorbell", "bell"),
    ("toilet flush", "water"), ("coins", "cash register", "metal clank", "bell"),
    ("beep", "telephone", "alarm clock"), ("saw", "chainsaw", "drill", "machine"),
    ("jackhammer", "drill", "machine", "gunshot"), ("pickaxe", "hammer", "digging", "metal clank"),
    ("chopping wood", "hammer", "sword"), ("electric spark", "static", "laser gun", "spell"),
    ("metal clank", "sword", "hammer", "bell", "breaking glass"), ("whip", "whoosh", "sword"),
    ("whoosh", "bow", "wind", "sword"), ("punch", "club", "footsteps", "drum"),
    ("reloading", "door", "keyboard click"), ("gunshot", "ricochet", "laser gun", "rocket"),
    ("catapult", "bow"), ("club", "sword", "hammer"), ("chest", "door"),
    ("explosion", "rocket", "catapult"), ("keyboard click", "cards", "billiard balls"),
    ("rubber duck", "balloon pop"), ("toaster", "reloading"),
    ("viola", "violin", "cello", "fiddle", "double bass"), ("double bass", "bass guitar"),
    ("piano", "electric piano", "clavinet", "harpsichord"),
    ("celesta", "music box", "glockenspiel", "vibraphone", "kalimba", "bell"),
    ("marimba", "xylophone", "vibraphone", "wood block"), ("Hammond organ", "pipe organ"),
    ("piccolo", "flute", "recorder", "pan flute", "ocarina", "shakuhachi", "whistling"),
    ("trumpet", "muted trumpet"), ("oboe", "English horn"),
    ("koto", "shamisen", "banjo", "dulcimer", "harp", "sitar"),
    ("drum", "timpani", "bongo", "conga", "timbale", "taiko drum"),
    ("maracas", "cabasa", "tambourine", "jingle bell", "guiro", "vibraslap"),
    ("wood block", "claves", "castanets"), ("cowbell", "agogo bell", "bell", "triangle"),
    ("hand clap", "applause"),
)  # fmt: skip
