from tests.tools.deid_rates import OPTIONS, rates, table
from tests.unit.deid.engine.build import dataset, el, pixels


def test_every_series_is_measured_with_every_set_of_options(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in (1, 2):
            image = dataset(el(0x00200013, "IS", str(number)), *pixels([1, 2, 3, 4]))
            (tmp_path / name / f"{number}.dcm").write_bytes(meta() + image)
    (tmp_path / "nothing").mkdir()
    found = list(rates(tmp_path, rounds=1))
    assert [(one.series, one.options) for one in found] == [
        (name, options) for name in ("one", "two") for options in OPTIONS
    ]
    assert {(one.instances, one.elements) for one in found} == {(2, 16)}
    assert all(one.per_second > 0 and one.headers_per_second > 0 and one.first_ms > 0 for one in found)
    assert len(table(found).splitlines()) == 1 + len(found)


def meta():
    syntax = el(0x00020010, "UI", "1.2.840.10008.1.2.1")
    return bytes(128) + b"DICM" + el(0x00020000, "UL", len(syntax).to_bytes(4, "little")) + syntax
