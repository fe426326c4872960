import io

import pytest

from tests.tools.dicomweb_server import DicomwebServer
from tests.unit.dgis.client.build import slices


def file_of(dataset):
    """A data set as a file."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def series(number, count, **attributes):
    """The files of a series of the study 1.2.1."""
    depths = [5.0 * place for place in range(count)]
    for each in slices(depths, Modality="CT", RescaleSlope=1, RescaleIntercept=-1000, **attributes):
        each.StudyInstanceUID, each.SeriesInstanceUID = "1.2.1", f"1.2.1.{number}"
        each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = (
            f"1.2.1.{number}.{each.InstanceNumber}"
        )
        each.StudyDate, each.SeriesNumber = "20210203", number
        yield file_of(each)


@pytest.fixture
def server():
    """Two series of CT, of 3 and of 20 images."""
    files = [*series(1, 3, BodyPartExamined="CHEST"), *series(2, 20, BodyPartExamined="HEAD")]
    with DicomwebServer(files) as server:
        yield server
