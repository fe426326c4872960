"""Siemens CSA headers (SV10) written and read for tests, on their own so that two readers agree."""

import struct


def csa_header(tags, residue=b"", again=None):
    """A header of these tags (name to texts); `residue` is what lies in memory behind a name."""
    listed = [*tags.items(), *(again or {}).items()]
    out = b"SV10\x04\x03\x02\x01" + struct.pack("<II", len(listed), 77)
    for name, texts in listed:
        padded = (name.encode() + b"\0" + residue).ljust(64, b"\0")[:64]
        items = [*texts, *[""] * max(0, 6 - len(texts))] if texts else []
        out += struct.pack("<64si4siii", padded, len(texts), b"XX\0\0", 0, len(items), 77 if items else 205)
        for text in items:
            value = text.encode() + b"\0" if text else b""
            check = 77 if text else 205
            out += struct.pack("<4i", len(value), len(value), check, len(value))
            out += value + bytes(-len(value) % 4)
    return out + bytes(4)


def read_csa(blob):
    """The texts of a header by tag."""
    assert blob[:4] == b"SV10"
    (count,) = struct.unpack_from("<I", blob, 8)
    found, at = {}, 16
    for _ in range(count):
        name, items = blob[at : at + 64].split(b"\0")[0].decode(), struct.unpack_from("<i", blob, at + 76)[0]
        at += 84
        texts = []
        for _ in range(items):
            (length,) = struct.unpack_from("<i", blob, at + 4)
            if length:
                texts.append(blob[at + 16 : at + 16 + length].rstrip(b"\0").decode())
            at += 16 + (length + 3) // 4 * 4
        found[name] = texts
    assert blob[at:] == bytes(4)
    return found
