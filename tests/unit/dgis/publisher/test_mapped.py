"""Originals so large that they are mapped, not read: nothing of them may be let go of too early."""

import threading
from dataclasses import replace

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from catalog.tables import DEID
from dgis.publisher.tables import publish_part
from tests.unit.dgis.site import CLEARED, phantom

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_NOISE = np.random.default_rng(7).integers(0, 256, (2048, 2400), np.uint8)


def encapsulated(image):
    """An image with a codestream of 5 MB that lies in the record as it came."""
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    dataset = Dataset()
    dataset.add_new("PixelData", "OB", encapsulate([imagecodecs.jpeg8_encode(_NOISE, level=100)]))
    dataset["PixelData"].is_undefined_length = True
    write_dataset(file, dataset)
    head = image.dataset[: image.dataset.rindex(b"\xe0\x7f\x10\x00OW")]
    return replace(image, dataset=head + file.getvalue(), transfer_syntax=JPEG_BASELINE)


def test_a_large_encapsulated_image_is_published(site):
    site.publish([encapsulated(phantom(1)[0])], part_bytes=1)
    (part,) = site.rows(publish_part)
    assert (part.state, part.last_error) == ("published", None)


def test_a_put_that_is_late_may_still_read_what_was_mapped(site):
    image = encapsulated(phantom(1)[0])
    late = threading.Thread(target=site.grid.release)
    site.grid.flaky["c"].script("put=hang")
    site.publish([image], part_bytes=1)
    assert [part.state for part in site.rows(publish_part)] == ["published"]
    late.start()
    late.join()
    assert len(site.refs(CLEARED)) == 1
    assert len(site.rows(DEID.instance)) == 1
