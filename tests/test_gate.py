"""What calls may name: uploads. Nothing is looked up, connected to or opened for any other call."""

import json
import os
import sys

import httpx
import pytest
from fakes import FakeAssistant
from gradio import utils
from gradio_client import Client, handle_file
from serving import serve, write_examples, write_tone

from mowe import ui
from mowe.ui.gate import MAX_CALL_BYTES, Gate, Refused, check_call

WEB, FOREIGN = "an address on the web", "a file that was not uploaded here"
ADDRESSES = (
    "http://recordings.example/a.wav",
    "https://recordings.example/a.wav",
    "HTTPS://recordings.example/a.wav",
    "ftp://recordings.example/a.wav",
    "file:///etc/passwd",
    "http://127.0.0.1:9/a.wav",
    "data:audio/wav;base64,UklGRg==",
)
PATHS = (
    "/etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "a.wav",
    "//recordings.example/a.wav",
    "~/a.wav",
    "",
)
LOOKUPS = tuple(
    f"socket.get{name}" for name in ("addrinfo", "hostbyname", "hostbyaddr", "nameinfo")
)
META = {"_type": "gradio.FileData"}
HOSTS = {"page.example"}


@pytest.fixture
def upload(tmp_path, monkeypatch):
    """A file in the folder of uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "ab").mkdir()
    return str(write_tone(tmp_path / "ab" / "50% tone.wav", 1.0))


def refusal(call, hosts=frozenset(HOSTS)):
    with pytest.raises(Refused) as caught:
        check_call(json.dumps(call).encode(), set(hosts))
    return caught.value


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("meta", [{}, {"meta": META}])
def test_an_address_is_refused_wherever_it_stands(upload, address, meta):
    for file in ({"path": address} | meta, {"path": upload, "url": address} | meta):
        for call in (
            file, {"data": [file]}, {"data": [[{"a": {"b": [file]}}]]},
            {"data": [[{"role": "user", "content": {"file": file}}]]}, {"event_data": file},
        ):  # fmt: skip
            assert refusal(call).status == 403
            assert WEB in refusal(call).sentence


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_was_not_uploaded_is_refused(upload, path):
    assert FOREIGN in refusal({"data": [{"path": path, "meta": META}]}).sentence


def test_pipes_links_folders_and_ways_around_are_no_uploads(upload, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    for path in (
        tmp_path / "pipe.wav", tmp_path / "zero.wav", tmp_path / "missing.wav", tmp_path,
        tmp_path / "ab", f"{tmp_path}/ab/../ab/50% tone.wav", f"{tmp_path}/../../etc/passwd",
        f"{upload}\0", f"{tmp_path}/\ud800", f"{tmp_path}/{'a' * 300}", f"{tmp_path}x/a.wav",
    ):  # fmt: skip
        assert FOREIGN in refusal({"path": str(path)}).sentence


def test_an_upload_passes_with_or_without_its_own_address(upload):
    for url in (
        None, f"/gradio_api/file={upload}", f"http://page.example/gradio_api/file={upload}",
        f"https://page.example/gradio_api/file={upload.replace('%', '%25').replace(' ', '%20')}",
    ):  # fmt: skip
        call = {"data": [{"path": upload, "url": url, "meta": META}, "see https://a.example"]}
        check_call(json.dumps(call).encode(), HOSTS)


def test_another_hosts_or_another_files_address_is_not_its_own(upload):
    for url in (
        f"http://other.example/gradio_api/file={upload}", "http://page.example/a.wav",
        "http://page.example/gradio_api/file=/etc/passwd", "http://[page.example", "//page.example",
    ):  # fmt: skip
        assert WEB in refusal({"path": upload, "url": url}).sentence


def test_the_last_of_equal_keys_counts_as_it_does_behind_the_gate(upload):
    body = f'{{"path": {json.dumps(upload)}, "path": "http://a.example"}}'
    with pytest.raises(Refused):
        check_call(body.encode(), HOSTS)


@pytest.mark.parametrize("body", [b"{", b"--x\r\n", b"[" * 200_000, b"\xff\xfe\x00", b"1" * 5_000])
def test_what_is_not_json_is_refused_in_one_sentence(body):
    with pytest.raises(Refused, match="must be JSON") as caught:
        check_call(body, HOSTS)
    assert caught.value.status == 400


def test_an_empty_call_passes():
    check_call(b"", HOSTS)


# --- the real page ---


class Ear:
    """Everything that this process connects to, looks up or opens, as Python says it itself."""

    def __init__(self):
        self.on, self.heard = False, []
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if not self.on:
            return
        if event == "socket.connect":
            self.heard.append((event, arguments[1]))
        elif event in LOOKUPS or self._is_opened(event, arguments):
            self.heard.append((event, arguments[0]))

    def _is_opened(self, event, arguments):
        return event == "open" and arguments[0] in PATHS


@pytest.fixture(scope="module")
def ear():
    return Ear()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    assistant = FakeAssistant(step_seconds=0.0)
    with serve(assistant, write_examples(tmp_path_factory.mktemp("examples"))) as url:
        yield url


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """Every function of the page, the private ones too: number, name, how many inputs."""
    app = ui.build_app(FakeAssistant(), tmp_path_factory.mktemp("none"))
    return [(number, fn.api_name, len(fn.inputs)) for number, fn in app.fns.items()]


def others(heard, served):
    """What was heard that is not this test talking to its own server."""
    port = int(served.rstrip("/").rsplit(":", 1)[1])
    ours = {("socket.connect", ("127.0.0.1", port)), ("socket.getaddrinfo", "127.0.0.1")}
    # a path instead of host and port is a socket between processes of this machine
    there = [one for one in heard if one[0] != "socket.connect" or isinstance(one[1], tuple)]
    return [one for one in there if one not in ours]


def file_values(uploaded):
    """File data of every kind that no call may hold."""
    for name in (*ADDRESSES, *PATHS):
        yield {"path": name, "meta": META}
        yield {"path": uploaded, "url": name or "http://a.example", "meta": META}
    yield {"path": ADDRESSES[0], "is_stream": True, "meta": META, "orig_name": "a.wav"}
    yield {"url": ADDRESSES[0], "meta": META}


def wrapped(file):
    """The same as a value, in a list, in a chat, and in a component's properties."""
    yield file
    yield [file]
    yield [{"role": "user", "content": [{"type": "file", "file": file}]}]
    yield {"value": file, "__type__": "update"}


def test_no_call_makes_the_server_look_connect_or_open(served, functions, ear, tmp_path):
    assert len(functions) > 30
    with httpx.Client(base_url=f"{served}gradio_api/", timeout=20) as client:
        tone = write_tone(tmp_path / "tone.wav", 1.0)
        (uploaded,) = client.post("upload", files={"files": tone.open("rb")}).json()
        ear.heard.clear()
        ear.on = True
        values = [one for file in file_values(uploaded) for one in wrapped(file)]
        refused = 0
        for place, (number, name, inputs) in enumerate(functions):
            # the public function meets every value, the private ones a few each
            for value in values if name == "ask" else values[place % 41 :: 41]:
                call = {"data": [value] * inputs, "event_data": value, "fn_index": number}
                call |= {"session_hash": "s", "audio": value}
                for route in ("queue/join", f"run/{name}", f"call/{name}", f"call/v2/{name}"):
                    answer = client.post(route, json=call)
                    assert (answer.status_code, set(answer.json())) == (403, {"detail"}), value
                    refused += 1
        ear.on = False
    assert refused > 1_000
    assert others(ear.heard, served) == []


def test_other_routes_fetch_nothing_either(served, ear):
    with httpx.Client(base_url=served, timeout=20) as client:
        ear.heard.clear()
        ear.on = True
        body = {"data": [{"path": ADDRESSES[0], "meta": META}], "session_hash": "s"}
        for route in ("stream/x", "component_server", "api/ask", "queue/join/", "reset", "cancel"):
            assert client.post(f"gradio_api/{route}", json=body).status_code == 403
            text = client.post(f"gradio_api/{route}", content=json.dumps(body))
            assert text.status_code == 403  # whatever it calls itself
        for address in (*ADDRESSES, "a.wav"):
            for route in ("file=", "file/", "proxy="):
                answer = client.get(f"gradio_api/{route}{address}")
                assert (answer.status_code, set(answer.json())) == (403, {"detail"})
        for path in ("/dev/zero", "/etc/passwd", "//recordings.example/a.wav"):
            assert client.get(f"gradio_api/file={path}").status_code in (403, 404)
        form = {"files": (None, ADDRESSES[0])}
        for route in ("component_server", "process_recording", "queue/join"):
            assert client.post(f"gradio_api/{route}", files=form).status_code == 400
        assert client.post("gradio_api/upload", files=form).status_code >= 400
        ear.on = False
    assert others(ear.heard, served) == []


def test_a_client_is_refused_in_one_sentence_and_the_next_upload_is_answered(served, ear, tmp_path):
    client = Client(served, verbose=False)
    ear.heard.clear()
    ear.on = True
    with pytest.raises(Exception, match="403"):
        client.predict(handle_file(ADDRESSES[0]), "What is this?", api_name="/ask")
    tone = write_tone(tmp_path / "50% tone, ü.wav", 2.0)
    text, details = client.predict(handle_file(str(tone)), "What is this?", api_name="/ask")
    ear.on = False
    assert "2.00 s at a level of 0.250" in text
    assert details["file"].endswith(".wav")
    assert others(ear.heard, served) == []


def test_a_call_has_a_largest_size(served):
    body = b'{"data": ["' + b"a" * MAX_CALL_BYTES + b'"]}'
    answer = httpx.post(f"{served}gradio_api/call/ask", content=body)
    assert answer.status_code == 413
    assert "allowed" in answer.json()["detail"]


def test_the_gate_stands_in_the_settings_of_every_launch():
    (one,) = ui.launch_settings(1_000)["app_kwargs"]["middleware"]
    assert one.cls is Gate
    assert utils.get_upload_folder()
