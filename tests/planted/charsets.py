"""Character sets of PS3.3 C.12.1.1.2, single ones, with code extensions, undeclared and made up.

Each by what SpecificCharacterSet says: Python's codec, letters to make names of, and the escape sequence
(PS3.3 Tables C.12-3 and C.12-4) that stands in front of them where a codec writes none.
"""

from typing import NamedTuple


class Charset(NamedTuple):
    """How a name is written."""

    codec: str
    letters: str
    escape: bytes = b""


_LATIN_1, _LATIN_2, _LATIN_3 = "äöüßéèñçøåÄÖÜÉ", "ąęłńóśźżčřšžŁŻ", "ĦħĜĝĤĥŜŝŬŭĊċĠġ"
_LATIN_4, _LATIN_5, _LATIN_9 = "ĀāĒēĢģĶķĻļŅņŨũ", "ğışöüçĞİŞÖÜÇ", "ŠšŽžŒœŸéèêëàâç"
_CYRILLIC, _GREEK, _ARABIC = "абвгдежзиклмнопрст", "αβγδεζηθικλμνξοπρσ", "ابتثجحخدذرزسشصضطظ"
_HEBREW, _THAI, _KATAKANA = "אבגדהוזחטיכלמנסעפצ", "กขคงจฉชซญดตถทธนบปผ", "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂ"
_KANJI, _MORE_KANJI = "山田太郎高橋佐藤鈴木伊渡辺中村", "丂丄丅丌丒丟丣两丨丫丮丯丰"
_HANGUL, _HANZI, _HANZI_LONG = (
    "김이박최정강조윤장임한오서신권",
    "王李张刘陈杨赵黄周吴徐孙胡朱高",
    "王李張劉陳楊趙黃周吳徐孫胡朱高",
)
_SINGLE = {
    100: Charset("latin_1", _LATIN_1, b"\x1b-A"),
    101: Charset("iso8859_2", _LATIN_2, b"\x1b-B"),
    109: Charset("iso8859_3", _LATIN_3, b"\x1b-C"),
    110: Charset("iso8859_4", _LATIN_4, b"\x1b-D"),
    144: Charset("iso8859_5", _CYRILLIC, b"\x1b-L"),
    127: Charset("iso8859_6", _ARABIC, b"\x1b-G"),
    126: Charset("iso8859_7", _GREEK, b"\x1b-F"),
    138: Charset("iso8859_8", _HEBREW, b"\x1b-H"),
    148: Charset("iso8859_9", _LATIN_5, b"\x1b-M"),
    203: Charset("iso8859_15", _LATIN_9, b"\x1b-b"),
    13: Charset("shift_jis", _KATAKANA, b"\x1b)I"),
    166: Charset("tis_620", _THAI, b"\x1b-T"),
}
CHARSETS = {
    **{f"ISO_IR {number}": one._replace(escape=b"") for number, one in _SINGLE.items()},
    **{f"ISO 2022 IR 6\\ISO 2022 IR {number}": one for number, one in _SINGLE.items()},
    "\\ISO 2022 IR 87": Charset("iso2022_jp", _KANJI),
    "ISO 2022 IR 13\\ISO 2022 IR 87": Charset("iso2022_jp", _KANJI),
    "\\ISO 2022 IR 159": Charset("iso2022_jp_1", _MORE_KANJI),
    "\\ISO 2022 IR 149": Charset("euc_kr", _HANGUL, b"\x1b$)C"),
    "\\ISO 2022 IR 58": Charset("gb2312", _HANZI, b"\x1b$)A"),
    "GB18030": Charset("gb18030", _HANZI_LONG),
    "GBK": Charset("gbk", _HANZI_LONG),
    "ISO_IR 192": Charset("utf_8", "éłж張山김אعλ"),
    "": Charset("utf_8", _GREEK),
    "KOI8-R": Charset("koi8_r", _CYRILLIC),
}
