"""What is said in the clips: for arms that read a transcript, beside audio tokens or alone."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from mowe import weights
from mowe.data.ledger import Ledger
from mowe.encoders import build_encoder
from mowe.experiments.bank import clips_fingerprint, loudest_part
from mowe.experiments.labelled import Labelled
from mowe.hints import build_hints, spelled
from mowe.presets import MINI


def fill_transcripts(clips: Sequence[Labelled], folder: Path) -> list[str]:
    """Write down every clip by the base encoder's own decoder; what is there is read.

    Args:
        clips: Of a suite.
        folder: Where they are kept.

    Raises:
        AudioError: If a recording cannot be used.
        WeightsError: If the decoder's weights are missing.
    """
    ledger = Ledger(folder / "transcripts.jsonl", {"clips": clips_fingerprint(clips)})
    missing = [n for n in range(len(clips)) if ledger.find("transcript", str(n)) is None]
    if missing:
        base = build_encoder(MINI.base_encoder, weights.resolve(MINI.base_encoder.source))
        sources = (MINI.hints.transcript, MINI.hints.activity)
        folders = {source: weights.resolve(source) for source in sources}
        hints = build_hints(MINI.hints, folders, base.dim).eval()
        for place in tqdm(missing, desc="transcripts", mininterval=5):
            samples = torch.from_numpy(loudest_part(clips[place]).at(base.sample_rate))
            *_, heard = hints.write(base, samples)
            ledger.add("transcript", {"id": str(place), "text": spelled(heard.text)})
    rows = [ledger.find("transcript", str(place)) for place in range(len(clips))]
    return [str(row["text"]) for row in rows if row is not None]
