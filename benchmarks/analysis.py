"""Measures the analysis: routing many recordings, UMAP, and the map in a real browser.

`python -m benchmarks.analysis` writes `results/analysis.json` and `results/analysis.md`. Points are
random vectors in groups, sounds are noise with a rhythm: what is measured is work, never quality.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.machine import describe
from mowe import ui
from mowe.analysis import Records
from mowe.analysis.map import figures
from mowe.analysis.map.projection import Projection, pca, place, umap
from mowe.assistant import load
from mowe.assistant.routed import route_windows
from mowe.audio import Recording, load_audio
from mowe.data.records import LABELS
from mowe.model import make_batch
from mowe.ui.map.points import drawn

RESULTS = Path(__file__).parent / "results"
SECONDS = 5.0  # of a recording
ROUTED = 48  # recordings
BATCH = 12  # of them at a time for base-only encoding: what routing takes, too
ROUNDS = 5
DIM = 512  # of the base embedding
SIZES = (1_000, 10_000, 50_000)
WARM = 5_000  # points; from 4,096 on UMAP searches approximately
DRAWN = (20_000, 100_000)
PAN_SECONDS = 3.0
# counts the frames that the browser shows until it is asked
COUNT = """() => {
  window.frames_shown = 0; window.counting = performance.now();
  const count = () => { window.frames_shown += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
}"""
COUNTED = "() => window.frames_shown / ((performance.now() - window.counting) / 1000)"


def timed(work: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure_routing() -> dict[str, float]:
    """Recordings routed per second, beside the base encoder alone on the same batches."""
    assistant = load("mini", device="cpu")
    model, draw = assistant.model, np.random.default_rng(0)
    recordings = [_sound(draw, number) for number in range(ROUTED)]
    rate = model.base_encoder.sample_rate
    batches = [
        make_batch(
            [{rate: torch.from_numpy(one.at(rate))} for one in recordings[start : start + BATCH]]
        )
        for start in range(0, ROUTED, BATCH)
    ]

    def base_only() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.encode_base(batch)

    def route() -> None:
        route_windows(model, recordings)

    route(), base_only()  # warm
    rounds = [(timed(base_only), timed(route)) for _ in range(ROUNDS)]
    base, routed = (statistics.median(one) for one in zip(*rounds, strict=True))
    return {
        "recordings_per_second": ROUTED / routed,
        "audio_seconds_per_second": ROUTED * SECONDS / routed,
        "base_only_audio_seconds_per_second": ROUTED * SECONDS / base,
        "share_of_base_only": statistics.median(one / other for one, other in rounds),
    }


def _sound(draw: np.random.Generator, number: int) -> Recording:
    times = np.arange(int(SECONDS * 16_000)) / 16_000
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * (1 + number % 7) * times)
    return load_audio(((0.1 * beat * draw.normal(size=len(times))).astype(np.float32), 16_000))


def vectors_of(count: int) -> np.ndarray:
    """Random vectors in twenty groups, `(count, DIM)` float32."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(20, DIM))
    return (centres[np.arange(count) % 20] + 0.5 * draw.normal(size=(count, DIM))).astype(
        np.float32
    )


def measure_projection(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    """Seconds of PCA, of UMAP and of placing one more recording, by number of points."""
    umap(vectors_of(WARM))  # compiles, the search among many points too
    found = []
    for size in sizes:
        vectors = vectors_of(size)
        quick = pca(vectors)
        found.append(
            {
                "points": size,
                "pca": timed(lambda vectors=vectors: pca(vectors)),
                "umap": timed(lambda vectors=vectors: umap(vectors)),
                "place": timed(
                    lambda vectors=vectors, quick=quick: place(
                        vectors, quick.coordinates, vectors[0]
                    )
                ),
            }
        )
    return found


def points_of(count: int) -> Records:
    """Made-up records with one row per recording."""
    draw, pool = np.random.default_rng(0), ("whisper-tiny.en", "speaker", "sound", "music", "pitch")
    table = pd.DataFrame(
        {
            "path": [f"clips/{number}.wav" for number in range(count)],
            **{name: [None] * count for name in LABELS},
            "label": [f"label {number % 40}" for number in range(count)],
            "choice": [pool[number % 5] for number in range(count)],
            "entropy": draw.random(count), "margin": draw.random(count), "score": np.nan,
        }
    )  # fmt: skip
    return Records(table, pool, "made up")


def measure_page(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    """Bytes, seconds to the first drawing and frames a second while panning, in Chromium."""
    import gradio
    from playwright.sync_api import sync_playwright

    from mowe.ui.map.points import EmbeddingMap

    found = []
    for size in sizes:
        coordinates = np.random.default_rng(0).normal(size=(size, 2)).astype(np.float32)
        value = drawn(figures.map_figure(points_of(size), Projection("pca", coordinates)))
        with gradio.Blocks() as app:
            show = gradio.Button("show", elem_id="show")
            plane = EmbeddingMap(elem_id="map")
            show.click(lambda value=value: value, outputs=plane)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        app.launch(server_port=port, prevent_thread_lock=True, quiet=True, ssr_mode=False)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator("#show").wait_for()
            started = time.perf_counter()
            page.locator("#show").click()
            page.locator("#map canvas").first.wait_for(timeout=120_000)
            first = time.perf_counter() - started
            page.wait_for_timeout(1000)
            rate = _pan(page)
            browser.close()
        app.close(verbose=False)
        sent = len(json.dumps(value))
        found.append(
            {"points": size, "bytes": sent, "first_paint": first, "frames_per_second": rate}
        )
    return found


def _pan(page: Any) -> float:
    """Frames a second while the map is dragged to and fro with the mouse."""
    box = page.locator("#map .nsewdrag").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(COUNT)
    started = time.perf_counter()
    while time.perf_counter() - started < PAN_SECONDS:
        page.mouse.move(x + 100 * np.sin(4 * (time.perf_counter() - started)), y)
    rate = float(page.evaluate(COUNTED))
    page.mouse.up()
    return rate


def run(sizes: tuple[int, ...], drawn_sizes: tuple[int, ...]) -> dict[str, Any]:
    """Every measurement, with the machine it was made on."""
    ui.use_private_temp_dir()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": describe(),
        "routing": measure_routing(),
        "projection": measure_projection(sizes),
        "page": measure_page(drawn_sizes),
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page of tables."""
    routing, machine = result["routing"], result["machine"]
    lines = [
        "# Analysis",
        "",
        f"Measured {result['date']} with `make bench` on {machine['processor']}, "
        f"{os.cpu_count()} cores, load before the run {machine['load']:.2f}; medians of {ROUNDS} "
        f"rounds of {ROUTED} recordings of {SECONDS:g} s.",
        "",
        "| routing (`mini`) | |",
        "|---|---|",
        f"| recordings a second | {routing['recordings_per_second']:.1f} |",
        f"| seconds of audio a second | {routing['audio_seconds_per_second']:.0f} |",
        f"| the same, base encoder alone | {routing['base_only_audio_seconds_per_second']:.0f} |",
        f"| share of that (aim: at least 0.8) | {routing['share_of_base_only']:.2f} |",
        "",
        f"| points ({DIM} numbers each) | PCA, s | UMAP, s | placing one more, s |",
        "|---|---|---|---|",
        *(
            f"| {one['points']:,} | {one['pca']:.2f} | {one['umap']:.1f} | {one['place']:.3f} |"
            for one in result["projection"]
        ),
        "",
        "| points on the page | sent, MB | first drawn, s | frames a second while panning |",
        "|---|---|---|---|",
        *(
            f"| {one['points']:,} | {one['bytes'] / 1e6:.2f} | {one['first_paint']:.2f} | "
            f"{one['frames_per_second']:.0f} |"
            for one in result["page"]
        ),
        "",
        "UMAP without the time that its first call compiles. The browser draws without a GPU; "
        "first drawn is from the click to the map, Plotly's script included.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer points, for a try; not stored")
    quick = parser.parse_args().quick
    result = run(SIZES[:1] if quick else SIZES, DRAWN[:1] if quick else DRAWN)
    text = markdown(result)
    print(text)
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "analysis.json").write_text(
            json.dumps(result, indent=1) + "\n", encoding="utf-8"
        )
        (RESULTS / "analysis.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
