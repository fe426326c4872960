"""A folder of files on disk, and what is made of it."""

from dataclasses import replace

from deid.files import Job, RestoreJob, Tree, deidentify_tree, restore_tree
from tests.unit.deid.files.build import SITE


def contents(folder):
    """Every file below a folder by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


class Ward:
    """A hospital's folder `in`, and `out`, `sealed`, `back` beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.source, self.out = folder / "in", folder / "out"
        self.sealed, self.back = folder / "sealed", folder / "back"

    def put(self, files):
        for name, raw in files.items():
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).write_bytes(raw)
        return self

    def job(self, **changed):
        return replace(Job(Tree(self.source), self.out, SITE, sealed=self.sealed), **changed)

    def run(self, jobs=1, **changed):
        return deidentify_tree(self.job(**changed), jobs=jobs)

    def restore(self, jobs=1, **changed):
        job = RestoreJob(self.sealed, self.back, SITE, self.out)
        return restore_tree(replace(job, **changed), jobs=jobs)
