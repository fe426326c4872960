from pydicom import dcmread

from dgis.demo.files import write_files


def test_the_phantoms_are_files_that_others_read_three_patients_a_series_each(tmp_path):
    assert write_files(tmp_path, images=2) == 6
    read = [dcmread(path) for path in sorted(tmp_path.rglob("*.dcm"))]
    assert [(each.Modality, each.InstanceNumber) for each in read] == [
        (modality, number) for modality in ("CT", "MR", "PT") for number in (1, 2)
    ]
    assert len({each.PatientID for each in read}) == len({each.SeriesInstanceUID for each in read}) == 3
    assert all(each.pixel_array.size == each.Rows * each.Columns for each in read)
    assert all(each.file_meta.MediaStorageSOPInstanceUID == each.SOPInstanceUID for each in read)


def test_writing_again_replaces_the_same_files(tmp_path):
    write_files(tmp_path, images=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.dcm")}
    write_files(tmp_path, images=1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.dcm")} == before
