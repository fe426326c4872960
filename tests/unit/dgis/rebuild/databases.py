"""A database as it was at a moment, put back later; and what its catalog says, apart from row numbers."""

import sqlalchemy as sa

from catalog.tables import FAMILIES, contributor, grants
from dgis.schema import METADATA

TIMES_OF_WORK = {"published_ms", "first_ms"}
SURROGATES = {"id", "contributor_id", "patient_row", "study_row", "series_row"}


def every_table():
    return [table for metadata in METADATA for table in metadata.sorted_tables]


def saved(engine):
    """All rows of all tables."""
    with engine.connect() as connection:
        return {table.name: connection.execute(sa.select(table)).mappings().all() for table in every_table()}


def put_back(engine, rows):
    """Make the database hold these rows and no others; {} empties it."""
    with engine.begin() as connection:
        for table in reversed(every_table()):
            connection.execute(sa.delete(table))
        for table in every_table():
            if rows.get(table.name):
                connection.execute(sa.insert(table), [dict(row) for row in rows[table.name]])
            if connection.dialect.name == "postgresql" and "id" in table.c:
                _number_on(connection, table)


def _number_on(connection, table):
    sequence = connection.scalar(sa.text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name})
    if sequence is not None:
        highest = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0)))
        connection.execute(sa.text("SELECT setval(:name, :to)"), {"name": sequence, "to": highest + 1})


def catalog(engine):
    """What both families and the publishers' grants say: rows as sorted lists, by table."""
    said = {}
    with engine.connect() as connection:
        who = {
            row.id: (row.facility, row.digest, row.assertions)
            for row in connection.execute(sa.select(contributor))
        }
        said["contributor"] = sorted(who.values())
        for family in FAMILIES:
            above = {}
            for table in (family.patient, family.study, family.series, family.instance):
                rows = list(connection.execute(sa.select(table)).mappings())
                said[table.name] = sorted((_plain(row, who, above) for row in rows), key=repr)
                above |= {(table.name, row["id"]): _named(row, above) for row in rows}
            words = connection.execute(sa.select(family.name_word)).all()
            patients = family.patient.name
            said[family.name_word.name] = sorted(
                (row.word, above[patients, row.patient_row]) for row in words
            )
        given = connection.execute(sa.select(grants).where(grants.c.origin.startswith("publisher:")))
        said["grants"] = sorted(
            (row.who_key, who[row.contributor_id], row.may_phi, row.allow, row.not_after_ms) for row in given
        )
    return said


def _plain(row, who, above):
    kept = {name: value for name, value in row.items() if name not in SURROGATES | TIMES_OF_WORK}
    if "contributor_id" in row:
        kept["contributor"] = who[row["contributor_id"]]
    kept["below"] = _above(row, above)
    return sorted(kept.items(), key=lambda item: item[0])


def _above(row, above):
    for name in ("patient_row", "study_row", "series_row"):
        if name in row:
            return above[next(key for key in above if key[1] == row[name] and key[0].endswith(name[:-4]))]
    return ""


def _named(row, above):
    own = next(
        (row[key] for key in ("instance_key", "series_key", "study_key", "patient_key") if key in row), ""
    )
    return f"{_above(row, above)}/{own}"
