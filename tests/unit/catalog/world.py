"""A small grid of invented patients for the catalog's tests: stored by hospitals, published, asked about."""

import hashlib
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from sqlalchemy import create_engine, event, select

from catalog.callers import Assertions, Caller, Right
from catalog.extract import extract
from catalog.find import find
from catalog.grants import everyone_finds_deidentified, write_once
from catalog.ingest import Received, ingest
from catalog.publish import Part, PublishedInstance, WithheldInstance, publish
from catalog.query import Key, Level, Query, Root
from catalog.retrieve import instances
from catalog.tables import PHI, metadata

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
NOW = 1_700_000_000_000

ALPHA = Assertions(user="pacs", department="Radiology", institution="Alpha Hospital")
BETA = Assertions(user="pacs", department="Radiology", institution="Beta Clinic")

FULL = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI})
alpha = Caller("alpha", Assertions(user="dr.no", department="Radiology", institution="Alpha Hospital"), FULL)
beta = Caller("beta", Assertions(user="dr.b", department="Radiology", institution="Beta Clinic"), FULL)
researcher = Caller("researcher", Assertions(user="r", institution="Elsewhere"), FULL)
ceiled = Caller("ceiled", alpha.assertions, frozenset({Right.FIND, Right.RETRIEVE}))


def open_engine(url):
    """An engine as the gateway makes it: SQLite has a write-ahead log, and begins as a writer."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _connect(raw, _record):
            raw.isolation_level = None
            raw.execute("PRAGMA journal_mode=WAL")
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute("PRAGMA busy_timeout=10000")

        @event.listens_for(engine, "begin")
        def _begin(connection):
            deferred = connection.get_execution_options().get("deferred", False)
            connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")

    metadata.create_all(engine)
    return engine


def header(**values):
    """Explicit VR little endian bytes of a data set with these keywords."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def key(*parts):
    """A stand-in for a keyed pseudonym."""
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:20]


def pseudonym(uid):
    """A stand-in for a pseudonym UID."""
    return f"2.25.{int(hashlib.sha256(uid.encode()).hexdigest()[:20], 16)}" if uid else ""


def rows(engine, table):
    """Every row of a table, oldest first."""
    with engine.connect() as connection:
        return connection.execute(select(table).order_by(table.c.id)).mappings().all()


@dataclass(frozen=True)
class Image:
    """What is stored; defaults make a CT of one patient."""

    uid: str
    study: str = "1.2.1"
    series: str = "1.2.1.1"
    patient: str = "P1"
    name: str = "Smith^John"
    contributor: Assertions = ALPHA
    facility: str = "Alpha"
    content: str = "first"
    values: dict = field(default_factory=dict)

    def original(self):
        given = {
            "PatientID": self.patient,
            "PatientName": self.name,
            "PatientBirthDate": "19700101",
            "StudyInstanceUID": self.study,
            "StudyDate": "20240301",
            "StudyTime": "101500",
            "AccessionNumber": f"ACC{self.study}",
            "SeriesInstanceUID": self.series,
            "SeriesNumber": 1,
            "Modality": "CT",
            "SOPClassUID": CT,
            "SOPInstanceUID": self.uid,
            "InstanceNumber": 1,
            **self.values,
        }
        return {keyword: value for keyword, value in given.items() if value is not None}

    @property
    def patient_key(self):
        return key(self.facility, self.patient)

    def received(self):
        return Received(
            attributes=extract(header(**self.original()), EXPLICIT),
            contributor=self.contributor,
            facility=self.facility,
            patient_key=self.patient_key,
            study_key=pseudonym(self.study),
            series_key=pseudonym(self.series),
            instance_key=pseudonym(self.uid),
            sha256=hashlib.sha256((self.uid + self.content).encode()).digest(),
            size_bytes=1000,
            transfer_syntax=EXPLICIT,
            location=f"segment/{self.uid}/{self.content}",
            received_ms=NOW,
        )

    def deidentified(self):
        """The same instance as the grid knows it."""
        values = self.original() | {
            "PatientID": self.patient_key.upper(),
            "PatientName": self.patient_key.upper(),
            "PatientBirthDate": "",
            "StudyInstanceUID": pseudonym(self.study),
            "StudyDate": "20191105",
            "StudyTime": "",
            "AccessionNumber": "",
            "SeriesInstanceUID": pseudonym(self.series),
            "SOPInstanceUID": pseudonym(self.uid),
        }
        return extract(header(**values), EXPLICIT)


class World:
    """A database with its own way of telling what is in it."""

    def __init__(self, engine):
        self.engine = engine
        self.reach = None
        with engine.begin() as connection:
            write_once(connection, [everyone_finds_deidentified()])

    def store(self, *images):
        with self.engine.begin() as connection:
            return ingest(connection, [image.received() for image in images])

    def publish(self, *images, withheld=(), record="record-1"):
        with self.engine.begin() as connection:
            part = Part(
                record,
                [
                    PublishedInstance(self.row(connection, image), place, image.deidentified(), EXPLICIT, 900)
                    for place, image in enumerate(images)
                ],
                [
                    WithheldInstance(
                        self.row(connection, image), len(images) + place, "burned-in text likely"
                    )
                    for place, image in enumerate(withheld)
                ],
                NOW,
            )
            return publish(connection, part)

    def store_and_publish(self, *images, record="record-1"):
        self.store(*images)
        self.publish(*images, record=record)

    @staticmethod
    def row(connection, image):
        columns = PHI.instance.c
        return connection.execute(
            select(columns.id).where(columns.sop_instance_uid == image.uid)
        ).scalar_one()

    def find(self, caller, level, *wanted, root=Root.PATIENT, at=NOW, **given):
        """Matches of a relational query: `wanted` keywords are returned, `given` ones matched."""
        options = {
            name: given.pop(name)
            for name in ("fuzzy", "combined_datetime", "limit", "after")
            if name in given
        }
        keys = [Key(keyword) for keyword in wanted if keyword not in given]
        keys += [
            Key(keyword, (value,) if isinstance(value, str) else tuple(value))
            for keyword, value in given.items()
        ]
        query = Query(root, level, tuple(keys), relational=True, **options)
        with self.engine.connect() as connection:
            return list(find(connection, query, caller, at, self.reach))

    def values(self, caller, level, keyword, **given):
        """The values of one keyword over all matches, sorted."""
        return sorted(match.values[keyword] for match in self.find(caller, level, keyword, **given))

    def retrieve(self, caller, level, destination=None, at=NOW, **given):
        keys = tuple(
            Key(keyword, (value,) if isinstance(value, str) else value) for keyword, value in given.items()
        )
        query = Query(Root.PATIENT, level, keys, relational=True)
        with self.engine.connect() as connection:
            return list(instances(connection, query, caller, destination, at, reach=self.reach))


STUDY, SERIES, PATIENT, IMAGE = Level.STUDY, Level.SERIES, Level.PATIENT, Level.IMAGE
