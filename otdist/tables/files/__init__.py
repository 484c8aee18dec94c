"""Readers of tables and arrays in files; the format is that of the ending, or of the first bytes."""

from otdist.tables.files.notes import column_note, table_notes
from otdist.tables.files.read import ENDINGS, open_alike, open_file, read_file
from otdist.tables.files.settings import Reading

__all__ = ["ENDINGS", "Reading", "column_note", "open_alike", "open_file", "read_file", "table_notes"]
