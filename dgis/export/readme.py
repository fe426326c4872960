"""The README beside an export: how to open it."""

README = """# De-identified catalog

`patients`, `studies`, `series` and `instances` as Parquet. Columns are DICOM keywords; `schema.json` has
their tags and types, how many rows there are, and when they were written. Identifiers are pseudonyms; dates
are moved by a number of days that is the same for all of a patient. Tables join on `PatientID`,
`StudyInstanceUID` and `SeriesInstanceUID`. A value that is unknown, or a date that is none, is null.

DuckDB:

    SELECT Modality, count(*) FROM 'series.parquet' GROUP BY Modality;

pandas:

    import pandas as pd
    series = pd.read_parquet("series.parquet")
    series.merge(pd.read_parquet("studies.parquet"), on=["PatientID", "StudyInstanceUID"])

Spark:

    spark.read.parquet("series.parquet").groupBy("Modality").count().show()
"""
