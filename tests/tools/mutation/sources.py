"""What is mutated: real files where they are, and files of the project's own, with canaries put in."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from deid.elements import Encoding
from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from storage_nodes.record.part10 import file_head
from tests.corpus import corpus_root
from tests.tools.mutation.tree import PIXELS, Doc, Item, Node, padded, read
from tests.tools.planted import planted
from tests.unit.deid.files.build import deflated, published_kinds, withheld_kinds

_LARGEST_BYTES = 64 << 10
_ROWS, _FRAMES = 0x00280010, 0x00280008
_FEW_ROWS = 4
# Letters that no header holds by chance; eight in a row of any of them are a leak.
CANARIES = {
    0x00100010: ("PN", "QZXJVKWQ^HJZQXKVW"),
    0x00100020: ("LO", "ZXQJKWVZ4711"),
    0x00080050: ("SH", "KXQZWJVQ08"),
    0x00080080: ("LO", "VQJXZKWH HOSPITAL"),
    0x00080090: ("PN", "WKZQXVJH^QKZ"),
    0x00104000: ("LT", "JQWZXKVQ CALLED"),
}
_NESTED = "XWQKJZVH"
COMMENT = b"HQXVZWKJ"
_BEYOND_ASCII = "Žřáčďýúřů"
_CODECS = {"ISO_IR 192": "utf_8", "ISO_IR 101": "iso8859_2", "GB18030": "gb18030", "GBK": "gbk"}


@dataclass(frozen=True)
class Source:
    """A file to start from, its tree written anew with canaries in it."""

    name: str
    file: bytes = field(repr=False)
    canaries: tuple[bytes, ...] = field(repr=False)


@cache
def names() -> tuple[str, ...]:
    """Return the names of all sources, in one order: files of the corpus, then the project's own."""
    return (*_corpus(), *_own())


@cache
def source(name: str) -> Source:
    """Return a source by its name, cut to a size that many cases can be made of."""
    raw = _corpus()[name].read_bytes() if name in _corpus() else _own()[name]
    doc = _small(read(raw))
    return Source(name, *_with_canaries(doc))


@cache
def _corpus() -> dict[str, Path]:
    root = corpus_root()
    if root is None:
        return {}
    series = [min(folder.iterdir()) for folder in sorted((root / "series").iterdir()) if folder.is_dir()]
    rest = [
        path for name in ("odd", "malformed") for path in sorted((root / name).rglob("*")) if path.is_file()
    ]
    return {
        str(path.relative_to(root)): path
        for path in (*series, *rest)
        if len(_small(read(path.read_bytes())).written()) <= _LARGEST_BYTES
    }


@cache
def _own() -> dict[str, bytes]:
    found = {f"own/{name}": raw for name, raw in {**published_kinds(), **withheld_kinds()}.items()}
    for kind, person in zip((kinds.CT, kinds.MR, kinds.PET), PEOPLE, strict=True):
        one = next(iter(phantoms.series(kind, person, 1)))
        head = file_head(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax)
        found[f"own/phantom {kind.modality}"] = head + one.dataset
    for one in planted():
        file = one.file
        head = file_head(file.sop_class_uid, file.sop_instance_uid, file.transfer_syntax)
        found[f"own/planted {file.sop_instance_uid[-6:]} {file.transfer_syntax}"] = head + file.dataset
    whole = file_head("1.2.840.10008.5.1.4.1.1.2", "1.2.276.1", "1.2.840.10008.1.2.1.99")
    found["own/deflated"] = whole + deflated(next(iter(planted())).file.dataset)
    return found


def _small(doc: Doc) -> Doc:
    """Leave a few rows of the first frame of native pixels: headers are the subject."""
    order = "big" if doc.encoding is Encoding.EXPLICIT_BE else "little"
    found = {one.tag: one for one in doc.nodes}
    pixels, rows = found.get(PIXELS), found.get(_ROWS)
    if pixels is None or rows is None or not isinstance(pixels.value, bytes) or len(pixels.value) < 1 << 14:
        return doc
    count = int.from_bytes(rows.value, order)
    frames = found.get(_FRAMES)
    text = frames.value.strip(b" \0") if frames is not None and isinstance(frames.value, bytes) else b"1"
    if not text.isdigit() or count <= _FEW_ROWS or len(pixels.value) % (int(text) * count):
        return doc
    pixels.value = pixels.value[: len(pixels.value) // int(text) // count * _FEW_ROWS]
    pixels.value = padded(pixels.value, "OB")
    rows.value = _FEW_ROWS.to_bytes(len(rows.value), order)
    if frames is not None:
        frames.value = b"1 "
    return doc


def _with_canaries(doc: Doc) -> tuple[bytes, tuple[bytes, ...]]:
    """Put canaries in the places every sender fills, in one nested place, and into JPEG comments."""
    canaries = [text.encode() for _vr, text in CANARIES.values()]
    if not doc.nodes:
        return doc.written(), ()
    planted_nodes = {tag: Node(tag, vr, padded(text.encode(), vr)) for tag, (vr, text) in CANARIES.items()}
    wide = _wide(doc)
    if wide:
        planted_nodes[0x00081010] = Node(0x00081010, "SH", padded(wide, "SH"))
        canaries.append(wide)
    inner = Node(0x00321060, "LO", padded(_NESTED.encode(), "LO"))
    planted_nodes[0x00400275] = Node(0x00400275, "SQ", [Item([inner])])
    canaries.append(_NESTED.encode())
    level = {**{one.tag: one for one in doc.nodes}, **planted_nodes}
    ordered = [level[tag] for tag in sorted(level)]
    # What a malformed file has twice, or out of order, stays so.
    left = [one for one in doc.nodes if level.get(one.tag) is not one and one.tag not in planted_nodes]
    doc.nodes = [*left, *ordered]
    _comment(doc)
    return doc.written(), (*canaries, COMMENT)


def _wide(doc: Doc) -> bytes:
    charset = next((one.value for one in doc.nodes if one.tag == 0x00080005), b"")
    name = charset.decode("latin_1").strip() if isinstance(charset, bytes) else ""
    return _BEYOND_ASCII.encode(_CODECS[name], "replace") if name in _CODECS else b""


def _comment(doc: Doc) -> None:
    """Put a comment behind the start of every JPEG frame."""
    pixels = next((one for one in doc.nodes if one.tag == PIXELS and isinstance(one.value, list)), None)
    if pixels is None or not isinstance(pixels.value, list):
        return
    for fragment in pixels.value[1:]:
        if isinstance(fragment.value, bytes) and fragment.value[:3] == b"\xff\xd8\xff":
            size = (len(COMMENT) + 2).to_bytes(2, "big")
            fragment.value = b"\xff\xd8\xff\xfe" + size + COMMENT + fragment.value[2:]
