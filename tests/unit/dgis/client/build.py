"""Images built for tests of volumes: every voxel says where it is."""

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def image(pixels, **attributes):
    """A data set of these pixels, (rows, columns) or (frames, rows, columns), and attributes by keyword."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    pixels = np.asarray(pixels)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim > 2:
        dataset.NumberOfFrames = len(pixels)
    dataset.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def slices(depths, orientation=AXIAL, spacing=(2.0, 3.0), kind="<i2", **attributes):
    """Axial images at these depths in millimetres; all pixels of one are its depth times 10."""
    for number, depth in enumerate(depths):
        normal = np.cross(orientation[:3], orientation[3:])
        yield image(
            np.full((4, 5), round(depth * 10), kind),
            ImagePositionPatient=[float(part) for part in np.array([-10.0, -20.0, 0.0]) + normal * depth],
            ImageOrientationPatient=list(orientation),
            PixelSpacing=list(spacing),
            InstanceNumber=number + 1,
            **attributes,
        )


def group(**macros):
    """An item of functional groups: name of a macro's sequence to attributes of its one item."""
    item = Dataset()
    for name, attributes in macros.items():
        inner = Dataset()
        for keyword, value in attributes.items():
            setattr(inner, keyword, value)
        setattr(item, name, Sequence([inner]))
    return item
