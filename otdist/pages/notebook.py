"""HTML representations of objects in notebooks: one line or one table, in the colours of the notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from otdist.pages.formatting import escape_unprintable

MAX_TABLE_ROWS = 30  # rows shown of a table; the others are counted

# Notebooks choose the theme after the HTML is written: all colours derive from the surrounding text.
_FAINT = "opacity:.7"
_BADGE = (
    "border:1px solid color-mix(in srgb,currentColor 45%,transparent);border-radius:.6em;"
    "padding:0 .5em;font-size:90%;white-space:nowrap"
)
_NOTE = f"{_FAINT};font-size:90%;margin:.2em 0;text-align:left;max-width:60em"
_CELL = "padding:.15em .7em;background:none;white-space:nowrap"
_LINE = "border-bottom:1px solid color-mix(in srgb,currentColor 30%,transparent)"


def escape_html(text: object) -> str:
    """Escape a text for HTML; unprintable characters are spelled out."""
    return html.escape(escape_unprintable(str(text)))


def render_line(main: str, badge: str = "", detail: str = "", note: str = "") -> str:
    """Render a number with its status and its origin.

    Parameters
    ----------
    main
        The number with its name.
    badge
        Its proof or test result.
    detail
        Sizes and methods, in a fainter colour.
    note
        A sentence below.
    """
    parts = [f"<b>{escape_html(main)}</b>"]
    parts += [f'<span style="{_BADGE}">{escape_html(badge)}</span>'] if badge else []
    parts += [f'<span style="{_FAINT}">{escape_html(detail)}</span>'] if detail else []
    below = f'<div style="{_NOTE}">{escape_html(note)}</div>' if note else ""
    return f'<div style="line-height:1.7">{" &ensp;".join(parts)}</div>{below}'


def render_table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    caption: str = "",
    notes: Iterable[str] = (),
    bold: Sequence[bool] = (),
    words: Sequence[int] = (0,),
    max_rows: int = MAX_TABLE_ROWS,
) -> str:
    """Render rows as a table; rows beyond ``max_rows`` are counted below it.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        One value for each cell.
    caption
        A sentence above.
    notes
        Sentences below.
    bold
        Whether to emphasise each row; empty: no row.
    words
        Columns of text, aligned left; others hold numbers, aligned right.
    max_rows
        Largest number of rows.
    """
    sides = ["left" if k in words else "right" for k in range(len(header))]
    head = "".join(
        f'<th style="text-align:{side};{_CELL};{_LINE}">{escape_html(name)}</th>'
        for side, name in zip(sides, header, strict=True)
    )
    body = []
    for k, row in enumerate(rows[:max_rows]):
        weight = "font-weight:bold;" if k < len(bold) and bold[k] else ""
        cells = (
            f'<td style="text-align:{side};{weight}{_CELL}">{escape_html(cell)}</td>'
            for side, cell in zip(sides, row, strict=True)
        )
        body.append(f"<tr>{''.join(cells)}</tr>")
    more = [f"and {len(rows) - max_rows:,} more"] if len(rows) > max_rows else []
    above = f'<div style="margin:.2em 0"><b>{escape_html(caption)}</b></div>' if caption else ""
    below = "".join(f'<div style="{_NOTE}">{escape_html(note)}</div>' for note in (*more, *notes))
    style = "border-collapse:collapse;margin:.3em 0;width:auto"
    return (
        f'{above}<div style="overflow-x:auto"><table style="{style}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>{below}"
    )
