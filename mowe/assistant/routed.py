"""Only the routing of many recordings: base encoder and routers, nothing that comes after them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mowe.assistant.answer import WindowRouting, describe_routing
from mowe.audio import Recording
from mowe.checkpoint import MoWE
from mowe.model import AudioBatch, make_batch
from mowe.model.control import RoutingControl
from mowe.model.routing import pool_frames

BATCH_SECONDS = 60.0  # of padded audio that the base encoder gets at a time


class RoutedWindow(NamedTuple):
    """One window's routing and base embedding."""

    routing: WindowRouting
    pooled: np.ndarray  # (base_dim,) float32
    fused: np.ndarray | None  # (fused_dim,) float32, where it was asked for


class _Span(NamedTuple):
    recording: int
    number: int  # of the window
    start: float  # seconds
    end: float


@torch.inference_mode()
def route_windows(
    model: MoWE,
    recordings: Sequence[Recording],
    control: RoutingControl | None = None,
    window_seconds: float | None = None,
    *,
    fused: bool = False,
) -> list[list[RoutedWindow]]:
    """The routing of every window of every recording.

    Windows of similar length share a batch; what comes out does not depend on the batch.

    Args:
        model: The mixture.
        recordings: In any order and length.
        control: Routing overrides for all of them.
        window_seconds: Length of a window, above 0.5 s and at most the mixture's, the default.
        fused: Run the chosen weak encoders too, for the mean of the fused frames.

    Raises:
        ValueError: If `control` names an unknown encoder, or the window's length is outside.
    """
    longest = model.config.window_seconds
    window_seconds = window_seconds or longest
    if window_seconds > longest:
        raise ValueError(f"window_seconds must be {longest:g} or less, got {window_seconds:g}")
    spans = [
        _Span(place, number, start, end)
        for place, recording in enumerate(recordings)
        for number, (start, end) in enumerate(recording.windows(window_seconds))
    ]
    found: list[dict[int, RoutedWindow]] = [{} for _ in recordings]
    rates = model.sample_rates if fused else (model.base_encoder.sample_rate,)
    for batch in batches(sorted(spans, key=lambda span: span.end - span.start)):
        audio = _audio(model, recordings, batch, rates)
        if fused:
            features, _ = model.encode(audio, control)
            base, routing = features.base, features.routing
            fusion = pool_frames(model.fuse(features), base.mask).cpu().numpy()
        else:
            base, fusion = model.encode_base(audio), None
            routing = model.route(base, control)
        pooled = pool_frames(base.frames, base.mask).cpu().numpy()
        for row, span in enumerate(batch):
            about = describe_routing(routing, model.encoder_names, row)
            start, end = round(span.start, 3), round(span.end, 3)
            window = WindowRouting(span.recording, start, end, **about)
            whole = None if fusion is None else fusion[row]
            found[span.recording][span.number] = RoutedWindow(window, pooled[row], whole)
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


def _audio(
    model: MoWE,
    recordings: Sequence[Recording],
    spans: Sequence[_Span],
    rates: Sequence[int],
) -> AudioBatch:
    windows = [recordings[span.recording].window(span.start, span.end) for span in spans]
    batch = make_batch(
        [{rate: torch.from_numpy(window.at(rate)) for rate in rates} for window in windows]
    )
    return batch.to(model.device)
