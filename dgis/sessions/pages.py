"""The pages around a login: plain HTML without script; what is put into one is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from starlette.responses import HTMLResponse

LOGIN_PATH = "/login"
FILES: Mapping[str, str] = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "share.js": "text/javascript",
}
"""What the pages show beside themselves, by name, with its media type."""

_POLICY = {"Referrer-Policy": "same-origin"}  # without a referrer a form's Origin would be "null"
_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/login/icon.svg">
<link rel="stylesheet" href="/login/style.css">
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""


def file(name: str) -> bytes:
    """Return one of FILES."""
    return files("dgis.sessions").joinpath(name).read_bytes()


def login(ways: Sequence[str], back: str, refused: str = "", status: int = 200) -> HTMLResponse:
    """Return the page to log in on: a link for each provider, by its name, and the form for accounts."""
    links = "".join(
        f'<li><a class="button" href="/login/with/{number}?back={escape(back)}">{escape(name)}</a></li>'
        for number, name in enumerate(ways)
    )
    providers = f"<h2>With</h2>\n<ul>{links}</ul>\n<h2>With an account of this site</h2>\n" if ways else ""
    fields = _text("name", "Name", "username") + _secret("passcode", "Passcode", "current-password")
    form = _form(LOGIN_PATH, fields + _hidden("back", back), "Log in")
    return _page("Log in", _refused(refused) + providers + form, status)


def change(name: str, back: str, refused: str = "", status: int = 200) -> HTMLResponse:
    """Return the page to choose another passcode on."""
    fields = (
        _text("name", "Name", "username", name)
        + _secret("passcode", "Passcode until now", "current-password")
        + _secret("new", "New passcode", "new-password")
        + _secret("again", "New passcode once more", "new-password")
    )
    form = _form("/login/passcode", fields + _hidden("back", back), "Change passcode")
    words = "<p>Choose another passcode; all sessions end with the one until now.</p>\n"
    return _page("Choose a passcode", _refused(refused) + words + form, status)


def welcome(said: Mapping[str, Sequence[str]], *, account: bool) -> HTMLResponse:
    """Return the page that says who is logged in, and lets them out."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(', '.join(values))}</dd>" for name, values in said.items()
    )
    out = _form("/logout", "", "Log out")
    everywhere = _form("/logout", _hidden("everywhere", "yes"), "Log out everywhere", first=False)
    link = '<p><a href="/login/passcode">Change the passcode</a></p>\n' if account else ""
    studies = '<p><a href="/">Look at studies</a></p>\n'
    return _page("You are logged in", f"<dl>{rows}</dl>\n{studies}{out}{everywhere}{link}")


def share(refused: str = "", status: int = 200) -> HTMLResponse:
    """Return the page that a share link leads to: the token behind its # is sent in a form, by a script."""
    form = _form("/share", _secret("token", "Token of the link", "off"), "Open")
    script = '<script src="/login/share.js" defer></script>'
    return _page("A share", _refused(refused) + form + script, status)


def goodbye(further: str | None) -> HTMLResponse:
    """Return the page after a logout; `further` is where the provider ends its own session."""
    words = "<p>You are logged out here.</p>\n"
    provider = (
        f'<p><a class="button" href="{escape(further)}">Log out at the provider, too</a></p>\n'
        if further
        else ""
    )
    again = f'<p><a href="{LOGIN_PATH}">Log in again</a></p>'
    return _page("Logged out", words + provider + again)


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_FRAME.format(title=escape(title), content=content), status, _POLICY)


def _refused(words: str) -> str:
    return f'<p class="refused" role="alert">{escape(words)}</p>\n' if words else ""


def _form(action: str, fields: str, button: str, *, first: bool = True) -> str:
    kind = ' class="first"' if first else ""
    submit = f'<button type="submit"{kind}>{escape(button)}</button>'
    return f'<form method="post" action="{action}">{fields}{submit}</form>\n'


def _text(name: str, label: str, autocomplete: str, value: str = "") -> str:
    kept = f' value="{escape(value)}"' if value else ""
    return (
        f'<label>{escape(label)}<input name="{name}" type="text" autocomplete="{autocomplete}" '
        f'autocapitalize="none" spellcheck="false" maxlength="256" required{kept}></label>'
    )


def _secret(name: str, label: str, autocomplete: str) -> str:
    return (
        f'<label>{escape(label)}<input name="{name}" type="password" autocomplete="{autocomplete}" '
        'maxlength="1024" required></label>'
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'
