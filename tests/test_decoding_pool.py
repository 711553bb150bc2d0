"""Worker processes that crash, hang or eat memory, and what the rest notices of it."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mowe.audio import AudioLimits, DecodingPool, load_audio
from mowe.errors import AudioError

RATE = 16_000  # Hz
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pool():
    made = DecodingPool(function="decoders:misbehave", workers=2)
    yield made
    made.close()


@pytest.fixture
def clip(tmp_path):
    """Makes a recording under a name."""

    def write(name="clip.wav", level=0.25):
        soundfile.write(tmp_path / name, np.full(2 * RATE, level), RATE)
        return tmp_path / name

    return write


def refusal(source, **settings):
    with pytest.raises(AudioError) as caught:
        load_audio(source, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "seconds", "sentence"),
    [
        ("crash.wav", 90, "crash.wav stops the decoder (SIGSEGV); another recording is needed."),
        ("exit.wav", 90, "exit.wav stops the decoder (exit 3); another recording is needed."),
        (
            "hang.wav",
            0.2,
            "hang.wav takes longer than 0.2 s to decode; another recording is needed.",
        ),
        ("eat.wav", 90, "eat.wav takes more than 536 MB of memory to decode."),
        ("bug.wav", 90, "bug.wav cannot be decoded (KeyError: 'no such frame')."),
    ],
)
def test_a_file_that_ruins_its_worker_is_refused_and_the_next_one_is_decoded(
    pool, clip, name, seconds, sentence
):
    limits = AudioLimits(max_decode_seconds=seconds)
    assert refusal(clip(name), limits=limits, pool=pool) == sentence
    recording = load_audio(clip(), pool=pool)
    np.testing.assert_allclose(recording.samples, 0.25, atol=1e-4)


def test_a_worker_that_was_killed_while_it_waited_is_replaced(pool, clip):
    load_audio(clip(), pool=pool)
    before = workers_of(pool)
    for number in before:
        os.kill(number, signal.SIGKILL)
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
    assert load_audio(clip(), pool=pool).seconds == 2.0
    assert not before & workers_of(pool)


def test_a_worker_is_kept_for_the_next_file(pool, clip):
    load_audio(clip(), pool=pool)
    before = workers_of(pool)
    load_audio(clip(), pool=pool)
    assert workers_of(pool) == before


def test_threads_get_their_own_sounds_and_a_crash_of_one_is_not_the_others(pool, clip):
    levels = [0.1, 0.2, 0.3, 0.4]
    paths = [clip(f"clip{number}.wav", level) for number, level in enumerate(levels)]
    heard, refused = [[] for _ in levels], []

    def load(number):
        for _ in range(5):
            heard[number].append(float(load_audio(paths[number], pool=pool).samples[100]))

    def crash():
        refused.extend(refusal(bad, pool=pool) for _ in range(3))

    bad = clip("crash.wav")
    threads = [threading.Thread(target=load, args=(number,)) for number in range(len(levels))]
    threads.append(threading.Thread(target=crash))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for level, found in zip(levels, heard, strict=True):
        assert found == pytest.approx([level] * 5, abs=1e-4)
    assert len(refused) == 3
    assert len(workers_of(pool)) <= 2


def test_closing_ends_the_workers(clip):
    made = DecodingPool(workers=1)
    load_audio(clip(), pool=made)
    (number,) = workers_of(made)
    made.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_where_no_worker_can_be_started_files_are_decoded_here_and_that_is_said(clip, capfd):
    made = DecodingPool(function="decoders:no_such_function")
    with pytest.warns(RuntimeWarning, match="decoded in this one"):
        recording = load_audio(clip(), pool=made)
    assert recording.seconds == 2.0
    assert load_audio(clip(), pool=made).content_hash == recording.content_hash  # no second warning
    assert "no_such_function" in capfd.readouterr().err


def test_decoding_here_and_in_a_worker_give_the_same_samples(clip, monkeypatch):
    monkeypatch.setattr("mowe.audio.pool.AVAILABLE", False)
    here = DecodingPool()
    path = clip()
    monkeypatch.undo()
    one, other = load_audio(path, pool=here), load_audio(path)
    np.testing.assert_array_equal(one.samples, other.samples)
    assert (one.content_hash, one.treatment) == (other.content_hash, other.treatment)


PROGRAM = """
import sys
from mowe.audio import load_audio, shared_pool
assert not shared_pool()._workers
print(load_audio({path!r}).seconds)
print(*(worker._process.pid for worker in shared_pool()._workers))
print([name for name in sys.modules if name.split(".")[0] in ("torch", "transformers", "gradio")])
{end}
"""


@pytest.mark.parametrize("end", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_workers_start_at_the_first_file_without_torch_and_end_with_their_parent(clip, end):
    program = PROGRAM.format(path=str(clip()), end=f"sys.stdout.flush(); {end}")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    seconds, worker, heavy = done.stdout.splitlines()
    assert (seconds, heavy, done.stderr) == ("2.0", "[]", "")
    wait_until_gone(int(worker))


def test_the_worker_imports_neither_torch_nor_anything_that_takes_it_along():
    program = "import sys, mowe.audio.worker; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_a_forked_process_starts_workers_of_its_own(clip):
    program = """
import os
from mowe.audio import load_audio, shared_pool
load_audio({path!r})
ours = {{worker._process.pid for worker in shared_pool()._workers}}
child = os.fork()
if not child:
    load_audio({path!r})
    os._exit(int(bool(ours & {{worker._process.pid for worker in shared_pool()._workers}})))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
load_audio({path!r})
assert ours == {{worker._process.pid for worker in shared_pool()._workers}}
""".format(path=str(clip()))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def workers_of(pool):
    return {worker._process.pid for worker in pool._workers}


def wait_until_gone(number):
    """Until a process that is not our child has ended."""
    try:
        process = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        assert select.select([process], [], [], 10)[0], f"process {number} is still there"
    finally:
        os.close(process)
