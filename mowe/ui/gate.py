"""The gate before Gradio: calls may name files that were uploaded here, and nothing else.

Gradio opens what a call names while it prepares the call, and fetches it where it is an address on
the web: too late for a handler to refuse. So calls are read here first, whatever their route.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gradio import utils
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_CALL_BYTES = 8_000_000  # bytes of a call; recordings come by upload, which has its own limit
READING = ("GET", "HEAD", "OPTIONS")  # methods without a body
UPLOAD = "/gradio_api/upload"
_FILE = "/gradio_api/file="
_SERVED = re.compile(r"/gradio_api/(?:file=|file/|proxy=)(?P<file>.*)", re.DOTALL)
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
ADDRESS, FOREIGN = "an address on the web", "a file that was not uploaded here"


class Refused(Exception):  # noqa: N818  a decision, not a fault
    """A call that goes no further.

    Args:
        sentence: What was found and what is allowed; it quotes nothing of the call.
        status: Of the answer.
    """

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.sentence, self.status = sentence, status


class Gate:
    """Middleware that refuses calls which name addresses, devices or files of this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with one sentence, or pass on as if nothing had been read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            receive = await _checked(scope, receive)
        except Refused as refused:
            answer = JSONResponse({"detail": refused.sentence}, refused.status)
            await answer(scope, receive, send)
        except ClientDisconnect:
            pass  # there is nobody to answer
        else:
            await self.app(scope, receive, send)


async def _checked(scope: Scope, receive: Receive) -> Receive:
    """Where the application reads the body from, once the request was found harmless.

    Raises:
        Refused: If it names what may not be opened, or cannot be understood.
    """
    request, path = Request(scope, receive), scope["path"]
    served = _SERVED.search(path)
    if served and not served["file"].startswith("/"):
        raise _refusal(ADDRESS if _ADDRESS.match(served["file"]) else FOREIGN)
    if request.method in READING or path.rstrip("/").endswith(UPLOAD):
        return receive
    body = await _read(request)
    check_call(body, _hosts(request))
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return left.pop() if left else await receive()  # then only a disconnect can come

    return replay


async def _read(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_CALL_BYTES:
            raise Refused(
                f"A call holds more than the {MAX_CALL_BYTES} bytes that are allowed.", 413
            )
        parts.append(part)
    return b"".join(parts)


def _hosts(request: Request) -> set[str]:
    """What this server is called where the request comes from."""
    headers = request.headers
    forwarded = headers.get("x-forwarded-host", "").split(",")[0].strip()
    return {headers.get("host", ""), forwarded, urlsplit(headers.get("origin", "")).netloc} - {""}


def check_call(body: bytes, hosts: set[str]) -> None:
    """Look at every file that a call names, however deep.

    Args:
        body: JSON, or nothing.
        hosts: Names of this server, with ports.

    Raises:
        Refused: If a file was not uploaded here, or the body is no JSON.
    """
    if not body:
        return
    try:
        call = json.loads(body)  # as the application will: of equal keys, the last counts
    except (ValueError, RecursionError):
        raise Refused(
            "The body of a call must be JSON; files are sent to the upload.", 400
        ) from None
    for found in _objects(call):
        path, url = found.get("path"), found.get("url")
        if isinstance(path, str):
            _check_path(path)
        if isinstance(url, str):
            _check_url(url, path, hosts)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in a value, itself included; a stack, since calls may be nested deeply."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _check_path(path: str) -> None:
    """Refuse all but regular files in the folder of uploads."""
    if _ADDRESS.match(path):
        raise _refusal(ADDRESS)
    folder = Path(utils.get_upload_folder())
    # compared as text: nothing is touched that lies elsewhere
    inside = any(one in Path(path).parents for one in (folder, folder.resolve()))
    if not (inside and os.path.normpath(path) == path and _is_regular(path)):
        raise _refusal(FOREIGN)


def _check_url(url: str, path: Any, hosts: set[str]) -> None:
    """Refuse all but this server's own address of the file beside it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _refusal(ADDRESS) from None
    own = not parts.netloc or parts.netloc in hosts
    file = url.partition(_FILE)[2]
    if not own or not file or path not in (file, unquote(file)):
        raise _refusal(ADDRESS)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):  # ValueError: a null character
        return False


def _refusal(found: str) -> Refused:
    return Refused(f"The call names {found}; only files that were uploaded here are opened.", 403)
