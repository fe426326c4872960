"""Headers of the phantoms: what a modality writes, including what must not survive de-identification."""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RTPlanStorage

from dgis.demo.kinds import Kind, uid
from dgis.demo.people import Person

_PRIVATE_GROUP = 0x0019
_PRIVATE_CREATOR = "DEMO SCANNER 1.0"


def common(kind: Kind, person: Person, study_uid: str, series_uid: str) -> Dataset:
    """Return what all images of a series share."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = person.character_set
    _patient(dataset, person)
    _study(dataset, kind, person, study_uid)
    _series(dataset, kind, person, series_uid)
    _equipment(dataset)
    _image(dataset, kind)
    block = dataset.private_block(_PRIVATE_GROUP, _PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "LO", f"{person.patient_id} {person.study_date}")
    block.add_new(0x02, "UI", series_uid)
    return dataset


def place(dataset: Dataset, kind: Kind, number: int, count: int, instance_uid: str) -> None:
    """Write into `dataset` what belongs to image `number` (from 1) of `count` alone."""
    z = round((count - number) * kind.spacing_mm[1], 3)
    half = kind.scanner.rows * kind.spacing_mm[0] / 2
    dataset.SOPInstanceUID = instance_uid
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [-half, -half, z]
    dataset.SliceLocation = z
    if kind.modality == "PT":
        dataset.ImageIndex, dataset.NumberOfSlices = number, count


def _patient(dataset: Dataset, person: Person) -> None:
    dataset.PatientName = person.name
    dataset.PatientID = person.patient_id
    dataset.IssuerOfPatientID = "DEMO"
    dataset.PatientBirthDate = person.birth_date
    dataset.PatientSex = person.sex
    dataset.PatientAge = f"{int(person.study_date[:4]) - int(person.birth_date[:4]):03d}Y"
    dataset.PatientWeight = person.weight_kg
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = f"{person.patient_id}-OLD", "TEXT"
    dataset.OtherPatientIDsSequence = Sequence([other])
    dataset.PatientComments = f"invented patient {person.patient_id}"


def _study(dataset: Dataset, kind: Kind, person: Person, study_uid: str) -> None:
    dataset.StudyInstanceUID = study_uid
    dataset.StudyID = person.accession_number[-4:]
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = person.study_date
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = person.study_time
    dataset.AccessionNumber = person.accession_number
    dataset.StudyDescription = kind.study_description
    dataset.ReferringPhysicianName = "Überweiser^Ute" if person.codec == "latin_1" else "Sender^Uta"
    request = Dataset()
    request.AccessionNumber = person.accession_number
    request.RequestedProcedureID = f"RP{person.accession_number[3:]}"
    request.ScheduledProcedureStepID = f"SP{person.accession_number[3:]}"
    dataset.RequestAttributesSequence = Sequence([request])


def _series(dataset: Dataset, kind: Kind, person: Person, series_uid: str) -> None:
    dataset.SeriesInstanceUID = series_uid
    dataset.FrameOfReferenceUID = uid(series_uid, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.Modality = kind.modality
    dataset.SeriesNumber = {"CT": 2, "MR": 3, "PT": 4}[kind.modality]
    dataset.SeriesDescription = kind.series_description
    dataset.ProtocolName = f"{kind.modality} DEMO PROTOCOL"
    dataset.BodyPartExamined = "CHEST"
    dataset.OperatorsName = "Operator^Otto"
    dataset.PerformedProcedureStepID = f"PPS{person.accession_number[3:]}"
    dataset.PerformedProcedureStepStartDate = person.study_date
    dataset.PerformedProcedureStepStartTime = person.study_time
    plan = Dataset()
    plan.ReferencedSOPClassUID = RTPlanStorage
    plan.ReferencedSOPInstanceUID = uid(series_uid, "referenced")
    dataset.ReferencedPerformedProcedureStepSequence = Sequence([plan])


def _equipment(dataset: Dataset) -> None:
    dataset.Manufacturer = "Demo Instruments"
    dataset.ManufacturerModelName = "Phantom Maker"
    dataset.InstitutionName = "Demo Hospital"
    dataset.InstitutionAddress = "1 Example Street"
    dataset.InstitutionalDepartmentName = "Radiology"
    dataset.StationName = "DEMOSTATION1"
    dataset.DeviceSerialNumber = "SN-000-DEMO"
    dataset.SoftwareVersions = "1.0"


def _image(dataset: Dataset, kind: Kind) -> None:
    dataset.SOPClassUID = kind.sop_class_uid
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.AcquisitionNumber = 1
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [kind.spacing_mm[0], kind.spacing_mm[0]]
    dataset.SliceThickness = kind.spacing_mm[1]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = kind.scanner.rows
    dataset.BitsAllocated = 16
    dataset.BitsStored = kind.bits_stored
    dataset.HighBit = kind.bits_stored - 1
    dataset.PixelRepresentation = int(kind.signed)
    dataset.BurnedInAnnotation = "NO"
    {"CT": _ct, "MR": _mr, "PT": _pet}[kind.modality](dataset)


def _ct(dataset: Dataset) -> None:
    dataset.KVP, dataset.PatientPosition = 120, "HFS"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"


def _mr(dataset: Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "SK", ""
    dataset.MRAcquisitionType, dataset.PatientPosition = "2D", "HFS"
    dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength = 4200, 98, 15


def _pet(dataset: Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.Units = 0, 0.37, "BQML"
    dataset.CountsSource, dataset.SeriesType, dataset.CollimatorType = "EMISSION", ["STATIC", "IMAGE"], "NONE"
    dataset.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    dataset.DecayCorrection, dataset.DecayFactor = "START", 1
    dataset.FrameReferenceTime, dataset.ActualFrameDuration = 0, 180000  # milliseconds
    dataset.PatientOrientationCodeSequence = Sequence([_code("F-10450", "SRT", "recumbent")])
    dataset.PatientGantryRelationshipCodeSequence = Sequence([_code("F-10470", "SRT", "headfirst")])
    tracer = Dataset()
    tracer.Radiopharmaceutical = "Fluorodeoxyglucose F^18^"
    tracer.RadiopharmaceuticalStartTime = "061500"
    tracer.RadionuclideTotalDose = 370000000  # becquerel
    tracer.RadionuclideHalfLife = 6586.2  # seconds
    tracer.RadionuclideCodeSequence = Sequence([_code("C-111A1", "SRT", "^18^Fluorine")])
    dataset.RadiopharmaceuticalInformationSequence = Sequence([tracer])


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
