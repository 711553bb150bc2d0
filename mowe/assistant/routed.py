"""Only the routing of many recordings: base encoder and routers, nothing that comes after them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mowe.assistant.answer import WindowRouting, describe_routing
from mowe.audio import Recording
from mowe.checkpoint import MoWE
from mowe.model import AudioBatch, make_batch
from mowe.routing import RoutingControl, pool_frames

BATCH_SECONDS = 60.0  # of padded audio that the base encoder gets at a time


class RoutedWindow(NamedTuple):
    """One window's routing and base embedding."""

    routing: WindowRouting
    pooled: np.ndarray  # (base_dim,) float32


class _Span(NamedTuple):
    recording: int
    number: int  # of the window
    start: float  # seconds
    end: float


@torch.inference_mode()
def route_windows(
    model: MoWE, recordings: Sequence[Recording], control: RoutingControl | None = None
) -> list[list[RoutedWindow]]:
    """The routing of every window of every recording.

    Windows of similar length share a batch; what comes out does not depend on the batch.

    Args:
        model: The mixture.
        recordings: In any order and length.
        control: Routing overrides for all of them.

    Raises:
        ValueError: If `control` names an unknown encoder.
    """
    spans = [
        _Span(place, number, start, end)
        for place, recording in enumerate(recordings)
        for number, (start, end) in enumerate(recording.windows(model.config.window_seconds))
    ]
    found: list[dict[int, RoutedWindow]] = [{} for _ in recordings]
    for batch in batches(sorted(spans, key=lambda span: span.end - span.start)):
        base = model.encode_base(_audio(model, recordings, batch))
        routing = model.route(base, control)
        pooled = pool_frames(base.frames, base.mask).cpu().numpy()
        for row, span in enumerate(batch):
            about = describe_routing(routing, model.encoder_names, row)
            start, end = round(span.start, 3), round(span.end, 3)
            window = WindowRouting(span.recording, start, end, **about)
            found[span.recording][span.number] = RoutedWindow(window, pooled[row])
    return [[windows[number] for number in sorted(windows)] for windows in found]


def batches(spans: Sequence[_Span]) -> list[list[_Span]]:
    """Neighbours of ascending length, at most `BATCH_SECONDS` together with their padding."""
    made: list[list[_Span]] = []
    for span in spans:
        length = max(span.end - span.start, 1.0)  # shorter ones are padded to a second
        if made and length * (len(made[-1]) + 1) <= BATCH_SECONDS:
            made[-1].append(span)
        else:
            made.append([span])
    return made


def _audio(model: MoWE, recordings: Sequence[Recording], spans: Sequence[_Span]) -> AudioBatch:
    rate = model.base_encoder.sample_rate
    windows = [recordings[span.recording].window(span.start, span.end) for span in spans]
    batch = make_batch([{rate: torch.from_numpy(window.at(rate))} for window in windows])
    waveforms, lengths = batch.waveforms[rate], batch.lengths[rate]
    return AudioBatch({rate: waveforms.to(model.device)}, {rate: lengths.to(model.device)})
