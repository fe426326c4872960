from deid.files.back import Restored, RestoreJob, restore_tree
from deid.files.batch import CannotWrite, Job
from deid.files.instance import CleanFile, LeftOut, WithheldFile, deidentify_file, restore_file
from deid.files.placing import Occupied
from deid.files.run import deidentify_tree
from deid.files.seals import SealsRefused
from deid.files.tally import Fate, Note, SeriesTally, Tally
from deid.files.tree import Tree

__all__ = [
    "CannotWrite",
    "CleanFile",
    "Fate",
    "Job",
    "LeftOut",
    "Note",
    "Occupied",
    "RestoreJob",
    "Restored",
    "SealsRefused",
    "SeriesTally",
    "Tally",
    "Tree",
    "WithheldFile",
    "deidentify_file",
    "deidentify_tree",
    "restore_file",
    "restore_tree",
]
