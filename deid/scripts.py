"""Whether bytes that should be numbers are words in other letters than those of ASCII, or escaped ones."""

import re

_LEAST_BYTES, _LEAST_LETTERS, _LEAST_WIDE, _LEAST_KINDS = 8, 3, 5, 4
_LONGEST_WIDE_BYTES = 48  # whole numbers in no order are that much alike in short values only
# Greek, Cyrillic, Hebrew, Arabic: blocks of 256 characters by the byte that is the same in all letters of a
# word. Numbers of the size of the letters of other scripts are everywhere.
_BLOCKS = range(0x03, 0x07)
_BETWEEN = frozenset(" ^=.,-'")
# Code extensions of PS3.3 Tables C.12-3 and C.12-4, and what follows them: letters of seven bits, of eight.
_ESCAPED = re.compile(
    rb"\x1b\$(?:[@B]|\(D)[\x21-\x7e]{6,}"
    rb"|\x1b\$\)[AC][\xa1-\xfe]{4,}|\x1b(?:\)I|-[ABCDFGHLMTb])[\xa1-\xff]{5,}"
)


def is_script(raw: bytes) -> bool:
    """Whether bytes are UTF-8 or UTF-16 of an alphabet not Latin, or hold words behind an escape."""
    if len(raw) < _LEAST_BYTES:
        return False
    return _is_utf8(raw) or _is_wide(raw) or _ESCAPED.search(raw) is not None


def _is_utf8(raw: bytes) -> bool:
    trimmed = raw.strip(b"\0 ")
    if trimmed.isascii():
        return False
    try:
        text = trimmed.decode("utf_8")
    except UnicodeDecodeError:
        return False
    return text.isprintable() and sum(one.isalpha() and not one.isascii() for one in text) >= _LEAST_LETTERS


def _is_wide(raw: bytes) -> bool:
    if len(raw) > _LONGEST_WIDE_BYTES:
        return False
    trimmed = raw + bytes(len(raw) % 2)
    for codec, place in (("utf_16_le", 1), ("utf_16_be", 0)):
        blocks = {*trimmed[place::2]} - {0}
        if len(blocks) == 1 and blocks.issubset(_BLOCKS):
            text = trimmed.decode(codec).strip("\0 ")
            if _are_letters(text):
                return True
    return False


def _are_letters(text: str) -> bool:
    """Whether a text is of letters and not in order, as tables of numbers are."""
    letters = [one for one in text if not one.isascii()]
    if len(letters) < _LEAST_WIDE or len({*letters}) < _LEAST_KINDS:
        return False
    ordered = sorted(letters)
    if letters in (ordered, ordered[::-1]):
        return False
    return all(one.isalpha() for one in letters) and all(
        one.isalnum() or one in _BETWEEN for one in text if one.isascii()
    )
