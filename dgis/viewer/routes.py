"""`/viewer`: OHIF where it is installed. Its files hold no data; its page is for who is logged in."""

import threading
from pathlib import Path
from typing import Final

import structlog
from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from dgis.viewer import installed, pages
from dgis.viewer.installed import Installed, Kept
from dgis.viewer.installing import PATH
from dgis.viewer.package import ViewerError
from dgis.web.logins import Logins
from dgis.web.problems import Problem

_log = structlog.get_logger(__name__)
_UNKNOWN = 401
_SEE_OTHER = 303
_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "wasm": "application/wasm",
    "woff2": "font/woff2",
}
_TEXT: Final = "text/plain; charset=utf-8"
# Another installation has another folder, so a file of that address never changes.
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
_PAGE_HEADERS: Final = {"Content-Security-Policy": pages.POLICY}


class Shelf:
    """What is installed in a home, looked at anew when that changed: the door runs on meanwhile."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = installed.folder_of(home) / installed.FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] = ()
        self._found: Installed | None = None

    def installed(self) -> Installed | None:
        """Return it; a damaged one is none."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if seen != self._seen:
                self._seen, self._found = seen, self._read()
            return self._found

    def file(self, folder: str, name: str) -> tuple[Path, Kept] | None:
        """Return where a file lies that was installed under this very name; no other path opens one."""
        found = self.installed()
        kept = None if found is None or folder != found.folder else found.files.get(name)
        return None if kept is None else (installed.folder_of(self._home) / folder / name, kept)

    def _read(self) -> Installed | None:
        try:
            return installed.read(self._home)
        except ViewerError as error:
            _log.warning("viewer_damaged", error=str(error))
            return None


def routes(shelf: Shelf, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"{PATH}installed.json")
    def is_installed() -> Response:
        return JSONResponse({"installed": shelf.installed() is not None})

    @router.get(pages.CONFIGURATION_PATH)
    def configuration() -> Response:
        return Response(pages.configuration(_there(shelf)), media_type=_KINDS["js"], headers=_PAGE_HEADERS)

    @router.get(PATH)
    def no_study() -> Response:
        return RedirectResponse("/", _SEE_OTHER)

    @router.get(f"{PATH}{{mode}}")
    async def page(request: Request, mode: str) -> Response:
        found = await to_thread.run_sync(_there, shelf)
        if "." in mode:
            raise _no_such()
        try:
            await logins.admit(request)
        except Problem as problem:
            if problem.status != _UNKNOWN:
                raise
            return RedirectResponse("/login?back=/", _SEE_OTHER)
        return HTMLResponse(pages.page(found), headers=_PAGE_HEADERS)

    @router.get(f"{PATH}{{folder}}/{{name:path}}")
    def file(request: Request, folder: str, name: str) -> Response:
        found = shelf.file(folder, name)
        if found is None:
            raise _no_such()
        return _answer(request, *found)

    return router


def _answer(request: Request, path: Path, kept: Kept) -> Response:
    name = path.name
    headers = {**_FOR_EVER, "Content-Security-Policy": pages.WORKER_POLICY if kept.entry else pages.POLICY}
    if kept.zipped and _takes_gzip(request):
        path = path.with_name(f"{name}.gz")
        headers["Content-Encoding"] = "gzip"
    try:
        status = path.stat()
    except OSError:
        raise _no_such() from None
    kind = _KINDS.get(name.rpartition(".")[2], _TEXT)
    return FileResponse(path, headers=headers, media_type=kind, stat_result=status)


def _takes_gzip(request: Request) -> bool:
    """Whether a request takes gzip (RFC 9110 12.5.3); one that mentions it with a weight is not asked on."""
    codings = request.headers.get("accept-encoding", "").lower().split(",")
    return "gzip" in {each.strip() for each in codings}


def _there(shelf: Shelf) -> Installed:
    found = shelf.installed()
    if found is None:
        raise Problem(404, "no_viewer", "no viewer is installed here (dgis viewer install)")
    return found


def _no_such() -> Problem:
    return Problem(404, "not_found", "no such file")
