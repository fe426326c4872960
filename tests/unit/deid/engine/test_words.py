import base64
import gzip
import random
import struct
import zlib

import numpy as np
import pytest

from deid.packed import is_packed
from deid.words import ends_in_words, hides_words

NAME = b"DOE^JOHN 48151623"
RAMP = bytes(range(256))


def bare(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def turned(data):
    """Words the other way round, as a big endian file has them."""
    return np.frombuffer(data, "<u2").byteswap().tobytes()


# Their letters differ little from one to the next: what stood out before were the greater steps.
TURNED = (b"QHGPQRZVSD", b"XXBRGFVDSP", b"WTNWNHKFWC", b"XXZJMQMSZZ", b"QXFFKGWSFS", b"DHFSJMVJGV")


FLOATS = struct.pack("<40f", *(one / 8 for one in range(40)))


@pytest.mark.parametrize(
    ("vr", "raw"),
    [
        ("FD", b"DOE^JOHN"),
        ("FL", b"DOE^JOHN"),
        ("FL", b"BCDFGHJKLMBC"),  # floats of sensible sizes
        ("US", b"DOE^JOHN"),
        ("US", "DOE^JOHN".encode("utf_16_le")),
        ("FD", "DOE^JOHN".encode("utf_16_be")),
        ("UL", "DOE^JOHN".encode("utf_32_le")),
        ("OW", zlib.compress(NAME)),
        ("OW", bytes(8) + zlib.compress(NAME) + bytes(8)),
        ("SL", gzip.compress(NAME, mtime=0)),
        ("FD", bare(NAME * 2)),
        ("UL", bare(NAME.decode().encode("utf_16_le"))),
        ("US", struct.pack("<I", 17) + bare(NAME)),
        ("OW", base64.b64encode(NAME)),
        ("OW", RAMP + NAME),
        ("US", b"\0\1\2\3KOWALSKI"),
        ("UL", struct.pack("<4I", 1, 2, 3, 4) + b"KOWALSKI"),
        ("OW", NAME + bytes(1000)),
        ("OW", RAMP[:128] + NAME + RAMP[128:]),
        ("OF", struct.pack("<40f", *range(40)) + NAME + b"..."),
        *(("OW", turned(RAMP[:at] + name * 2 + RAMP[at:])) for at in (0, 128, 256) for name in TURNED),
        ("OW", struct.pack("<500h", *(number // 7 for number in range(500))) + NAME + bytes(100)),
        ("FD", struct.pack("<20d", *range(20)) + b"KOWALSKI^ANNA   " + struct.pack("<20d", *range(20))),
        ("OF", FLOATS + "KOWALSKI^ANNA".encode("utf_16_le") + b"\0\0" + FLOATS),
        ("OW", bytes(200) + "KOWALSKI^ANNA".encode("utf_16_be") + bytes(200)),
        ("UL", bytes(200) + "KOWALSKI^ANNA".encode("utf_32_le") + bytes(200)),
        ("FD", "Παπαδόπουλος".encode()),
        ("US", "Кузнецов Иван".encode()),
        ("OW", "山田太郎高橋".encode()),
        ("UL", "김철수이영희".encode()),
        ("US", "Кузнецов Иван".encode("utf_16_le")),
        ("OW", "כהן דוד אברהם".encode("utf_16_be")),
        ("OB", FLOATS + "山田太郎高橋".encode("iso2022_jp") + FLOATS),
        ("OW", FLOATS + b"\x1b$)C" + "김철수이영희".encode("euc_kr") + FLOATS),
        ("SL", FLOATS + b"\x1b-L" + "Кузнецов".encode("iso8859_5") + FLOATS),
    ],
)
def test_words_in_binary_numbers_are_noticed(vr, raw):
    assert hides_words(vr, raw)


SMOOTH = np.cumsum(np.random.default_rng(1).integers(-40, 41, 60000)).astype("<i2")


@pytest.mark.parametrize(
    ("vr", "raw"),
    [
        ("FD", struct.pack("<d", 10.6)),  # reads 333333%@
        ("FD", struct.pack("<2d", 11.2, 0.0)),
        ("FD", struct.pack("<3d", 0.6, -0.8, 0)),  # a deflate stream
        ("FD", struct.pack("<6d", 500, 1, 2, 3, 4, 5)),
        ("FL", struct.pack("<3f", 1.5, 2.5, -3.5)),
        ("US", struct.pack("<4H", 4095, 0, 1, 2)),
        ("US", struct.pack("<20H", *range(60, 80))),
        ("UL", struct.pack("<20I", *range(80, 60, -1))),
        ("US", struct.pack("<12H", *range(1040, 1052))),  # in order, each of them a letter
        (
            "US",
            struct.pack("<100H", *(1060 + number * 7 % 30 for number in range(100))),
        ),  # too many
        ("US", struct.pack("<12H", *(20000 + number * 977 % 9000 for number in range(12)))),
        ("FD", struct.pack("<40d", *(number * 1e7 for number in range(40)))),
        ("OF", struct.pack("<400f", *(1e-12 * number for number in range(400)))),
        ("US", b"AB"),
        ("OW", RAMP),
        ("OW", bytes(one for one in RAMP for _ in range(2))),
        ("OW", RAMP[::-1]),
        ("OW", struct.pack("<4096H", *(round(65535 * (n / 4095) ** 0.45) for n in range(4096)))),
        ("OW", SMOOTH.tobytes()),
        ("OF", (np.random.default_rng(2).random(20000, "f4") * 300).tobytes()),
        ("OB", random.Random(3).randbytes(200)),
    ],
)
def test_numbers_are_no_words(vr, raw):
    assert not hides_words(vr, raw)


def test_few_numbers_are_streams_by_chance():
    draw = random.Random(4)
    rows = (
        struct.pack("<6d", *(draw.choice((0, draw.uniform(-1, 1), draw.randrange(3000))) for _ in range(6)))
        for _ in range(3000)
    )
    assert not any(hides_words("FD", row) for row in rows)
    shorts = (struct.pack("<8H", *(draw.randrange(4096) for _ in range(8))) for _ in range(3000))
    assert not any(is_packed(row) for row in shorts)


def test_words_at_the_end_of_a_stream_are_noticed():
    noise = random.Random(5).randbytes(500)
    assert ends_in_words(noise + NAME)
    assert ends_in_words(noise + NAME + b"\0\xff")
    assert not ends_in_words(noise)
    assert not ends_in_words(noise + b"AAAAAAAAAAAAAAAA")
