import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dgis.watch.files import FRESH_SECONDS, FigureFile, fresh, merged


def registry(stored, free):
    made = CollectorRegistry()
    counter = Counter("dgis_stored", "kept", ["status"], registry=made)
    counter.labels("0x0000").inc(stored)
    Gauge("dgis_free_bytes", "left", registry=made).set(free)
    Gauge("dgis_associations", "now", registry=made).set(stored)
    Histogram("dgis_seconds", "took", buckets=(0.1, 1), registry=made).observe(free)
    return made


def file_of(folder, role, made):
    file = FigureFile(folder, role, made)
    file.prepare()
    file.write()
    return file


def values(folder):
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in merged(fresh(folder))
        for sample in family.samples
    }


def test_each_role_is_told_apart(tmp_path):
    file_of(tmp_path, "dicom", registry(3, 7))
    file_of(tmp_path, "worker", registry(4, 7))
    found = values(tmp_path)
    assert found["dgis_stored_total", "role=dicom", "status=0x0000"] == 3
    assert found["dgis_stored_total", "role=worker", "status=0x0000"] == 4


def test_processes_of_one_role_are_summed_and_of_gauges_the_largest_counts(tmp_path):
    file_of(tmp_path, "dicom", registry(3, 7))
    file_of(tmp_path, "dicom", registry(4, 0.5))
    found = values(tmp_path)
    assert found["dgis_stored_total", "role=dicom", "status=0x0000"] == 7
    assert found["dgis_free_bytes", "role=dicom"] == 7
    assert found["dgis_associations", "role=dicom"] == 7
    assert found["dgis_seconds_count", "role=dicom"] == 2
    assert found["dgis_seconds_bucket", "le=1.0", "role=dicom"] == 1
    assert found["dgis_seconds_bucket", "le=+Inf", "role=dicom"] == 2


def test_what_a_dead_process_left_is_passed_over_and_removed_by_a_later_one(tmp_path):
    old = file_of(tmp_path, "dicom", registry(3, 7))
    (path,) = tmp_path.glob("dicom-*.prom")
    written = path.stat().st_mtime
    assert dict(fresh(tmp_path, lambda: written + FRESH_SECONDS - 1))
    assert not dict(fresh(tmp_path, lambda: written + FRESH_SECONDS + 1))
    os.utime(path, (written - 86400, written - 86400))
    file_of(tmp_path, "worker", registry(1, 1))
    assert path.exists()
    file_of(tmp_path, "dicom", registry(1, 1))
    assert not path.exists()
    old.remove()


def test_a_process_that_ends_takes_its_figures_back(tmp_path):
    file_of(tmp_path, "dicom", registry(3, 7)).remove()
    assert not values(tmp_path)


def test_where_nothing_can_be_written_the_old_figures_stay(tmp_path, monkeypatch):
    file = file_of(tmp_path, "dicom", registry(3, 7))
    before = values(tmp_path)
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    file.write()
    assert values(tmp_path) == before


def test_nobody_else_may_read_them(tmp_path):
    file_of(tmp_path / "run" / "figures", "dicom", registry(3, 7))
    assert (tmp_path / "run" / "figures").stat().st_mode & 0o077 == 0
