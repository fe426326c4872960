import pytest

from dgis.dimse.services import Event, Note
from dgis.watch import door, figures

CANARY = "Kanarienvogel^Zitronengelb"


def count(counter, **labels):
    return (counter.labels(**labels) if labels else counter)._value.get()


@pytest.mark.parametrize("note", Note)
def test_every_note_is_counted_once(note):
    counter, label = door._COUNTED[note]
    event = Event(note, "127.0.0.1", status=0xA700, words="released")
    labels = {counter._labelnames[0]: label(event)} if label else {}
    before = count(counter, **labels)
    door.noted(event)
    assert count(counter, **labels) == before + 1


@pytest.mark.parametrize("note", Note)
@pytest.mark.parametrize("words", [CANARY, f"rejected: {CANARY}", f"{CANARY}: x", ""])
def test_no_label_says_what_came_from_a_peer(note, words):
    door.noted(Event(note, "10.9.8.7", status=0x4711, words=words, rejection=words))
    values = {
        value
        for family in figures.REGISTRY.collect()
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert figures.OTHER in values
    assert not [value for value in values if CANARY in value or value in {"10.9.8.7", "0x4711"}]


def test_known_reasons_and_ends_keep_their_words():
    door.noted(Event(Note.ASSOCIATION_REFUSED, "x", rejection="called AE title not recognized"))
    door.noted(Event(Note.ASSOCIATION_ENDED, "x", words="too slow: TLS handshake"))
    assert count(figures.REFUSED, reason="called AE title not recognized") >= 1
    assert count(figures.ENDED, how="too slow") >= 1
