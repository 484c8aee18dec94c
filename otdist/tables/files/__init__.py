"""Tables and arrays from files, by their ending or, from standard input, by their first bytes."""

from otdist.tables.files.read import ENDINGS, open_alike, open_file, read_file
from otdist.tables.files.said import column_note, table_notes
from otdist.tables.files.settings import Reading

__all__ = ["ENDINGS", "Reading", "column_note", "open_alike", "open_file", "read_file", "table_notes"]
