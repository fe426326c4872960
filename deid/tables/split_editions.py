import sys
from pathlib import Path

# Columns of the combined source: one basic action per edition, ten options of the older one.
_EDITIONS = {"2024b": "basic_2024b", "2026c": "basic_2026c"}
_OPTIONS = {
    "rtnSafePrivOpt": "safe-private",
    "rtnUIDsOpt": "retain-uids",
    "rtnDevIdOpt": "device-identity",
    "rtnInstIdOpt": "institution",
    "rtnPatCharsOpt": "patient-characteristics",
    "rtnLongFullDatesOpt": "full-dates",
    "rtnLongModifDatesOpt": "modified-dates",
    "cleanDescOpt": "clean-descriptors",
    "cleanStructContOpt": "clean-structured-content",
    "cleanGraphOpt": "clean-graphics",
}
_PRIVATE = "(gggg,eeee) odd gggg"
_UNSTATED = "-"


def split_editions(source: Path, folder: Path) -> None:
    """Write one table per edition from a combined one (DICOM PS3.15 Table E.1-1, tab-separated).

    `python -m deid.tables.split_editions SOURCE` is how the files beside this one were made and how the next
    edition is added. The newer source lists attributes only, so the row for private elements is carried over;
    rows it adds state no option actions, which leaves them at their basic one.
    """
    lines = [line for line in source.read_text().splitlines() if line and not line.startswith("#")]
    head, *rows = (line.split("\t") for line in lines)
    records = [dict(zip(head, row, strict=True)) for row in rows]
    for edition, column in _EDITIONS.items():
        with (folder / f"ps315_{edition}.tsv").open("w") as out:
            out.write(
                f"# DICOM PS3.15 {edition} Table E.1-1: actions of the basic profile and of its options.\n"
            )
            out.write("\t".join(["tag", "keyword", "basic", *_OPTIONS.values()]) + "\n")
            for record in records:
                private = record["tag"] == _PRIVATE
                basic = record["basic_2024b"] if private else record[column]
                if basic == _UNSTATED:
                    continue
                tag = _PRIVATE[:11] if private else record["tag"]
                options = (record[name] for name in _OPTIONS)
                out.write("\t".join([tag, record["keyword"], basic, *options]) + "\n")


if __name__ == "__main__":
    split_editions(Path(sys.argv[1]), Path(__file__).parent)
