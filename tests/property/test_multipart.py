"""However a multipart body is cut into pieces, its events are the same; any bytes at all are survived."""

from hypothesis import given
from hypothesis import strategies as st

from dgis.multipart.errors import MultipartError
from dgis.multipart.reader import Bounds, MultipartReader, PartBegins

_BOUNDS = Bounds(fields=3, field_bytes=24, preamble_bytes=40, parts=4)
_TOKENS = [
    b"\r\n",
    b"\r",
    b"\n",
    b"--",
    b"-",
    b"bnd",
    b"bn",
    b"A: b",
    b":",
    b" ",
    b"\0\xff",
    b"--bnd",
    b"\r\n--bnd",
]
_token = st.sampled_from(_TOKENS)
_wild = st.lists(_token, max_size=40).map(b"".join)


def read(pieces):
    """Return all events, neighbouring data joined, and how it ended."""
    reader, events = MultipartReader(b"bnd", _BOUNDS), []
    try:
        for piece in pieces:
            for event in reader.feed(piece):
                if isinstance(event, memoryview) and events and isinstance(events[-1], bytes):
                    events[-1] += bytes(event)
                elif isinstance(event, memoryview):
                    events.append(bytes(event))
                else:
                    events.append(dict(event.fields) if isinstance(event, PartBegins) else event)
        reader.finish()
    except MultipartError as error:
        return events, str(error)
    return events, ""


@st.composite
def _cut(draw, body):
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


@given(st.data())
def test_any_cut_gives_the_same_events(data):
    framed = data.draw(st.booleans())
    body = data.draw(_wild)
    if framed:
        body = b"--bnd\r\n" + body + b"\r\n--bnd--"
    whole = read([body])
    assert read(data.draw(_cut(body))) == whole
    assert read([body[at : at + 1] for at in range(len(body))]) == whole


@given(st.lists(st.tuples(st.booleans(), _wild), max_size=4), st.data())
def test_what_was_written_is_read(parts, data):
    parts = [
        (typed, content) for typed, content in parts if b"\r\n--bnd" not in b"\r\n" + content + b"\r\n--bn"
    ]
    body = b"".join(
        b"--bnd\r\n" + (b"A: b\r\n" if typed else b"") + b"\r\n" + content + b"\r\n"
        for typed, content in parts
    )
    events, ended = read(data.draw(_cut(body + b"--bnd--\r\n")))
    assert ended == ""
    assert [each for each in events if isinstance(each, dict)] == [
        {"a": "b"} if typed else {} for typed, _ in parts
    ]
    assert [each for each in events if isinstance(each, bytes)] == [
        content for _, content in parts if content
    ]
