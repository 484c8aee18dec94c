"""HTML that notebooks show for an object: one line or one table, in the colours of the notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from otdist.pages.words import visible

SHOWN_ROWS = 30  # of a table; the rest is counted

# Notebooks choose the theme after the HTML was made: all colours are those of the text around it.
_FAINT = "opacity:.7"
_BADGE = (
    "border:1px solid color-mix(in srgb,currentColor 45%,transparent);border-radius:.6em;"
    "padding:0 .5em;font-size:90%;white-space:nowrap"
)
_NOTE = f"{_FAINT};font-size:90%;margin:.2em 0;text-align:left;max-width:60em"
_CELL = "padding:.15em .7em;background:none;white-space:nowrap"
_LINE = "border-bottom:1px solid color-mix(in srgb,currentColor 30%,transparent)"


def escape(text: object) -> str:
    """Text as HTML; what a screen would hide or obey is spelled out."""
    return html.escape(visible(str(text)))


def line(main: str, badge: str = "", detail: str = "", note: str = "") -> str:
    """Show a figure, what is known of it, and where it comes from.

    Parameters
    ----------
    main
        The figure with its name.
    badge
        What is proved or tested of it.
    detail
        Sizes and methods, less prominent.
    note
        A sentence below.
    """
    parts = [f"<b>{escape(main)}</b>"]
    parts += [f'<span style="{_BADGE}">{escape(badge)}</span>'] if badge else []
    parts += [f'<span style="{_FAINT}">{escape(detail)}</span>'] if detail else []
    below = f'<div style="{_NOTE}">{escape(note)}</div>' if note else ""
    return f'<div style="line-height:1.7">{" &ensp;".join(parts)}</div>{below}'


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    caption: str = "",
    notes: Iterable[str] = (),
    bold: Sequence[bool] = (),
    words: Sequence[int] = (0,),
    shown: int = SHOWN_ROWS,
) -> str:
    """Show rows; those beyond ``shown`` are counted below the table.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        A text for each cell.
    caption
        A sentence above.
    notes
        Sentences below.
    bold
        Whether a row is emphasised, for each row; empty: none is.
    words
        Columns that hold words, at the left; others hold figures, at the right.
    shown
        Largest number of rows.
    """
    sides = ["left" if k in words else "right" for k in range(len(header))]
    head = "".join(
        f'<th style="text-align:{side};{_CELL};{_LINE}">{escape(name)}</th>'
        for side, name in zip(sides, header, strict=True)
    )
    body = []
    for k, row in enumerate(rows[:shown]):
        weight = "font-weight:bold;" if k < len(bold) and bold[k] else ""
        cells = (
            f'<td style="text-align:{side};{weight}{_CELL}">{escape(cell)}</td>'
            for side, cell in zip(sides, row, strict=True)
        )
        body.append(f"<tr>{''.join(cells)}</tr>")
    more = [f"and {len(rows) - shown:,} more"] if len(rows) > shown else []
    above = f'<div style="margin:.2em 0"><b>{escape(caption)}</b></div>' if caption else ""
    below = "".join(f'<div style="{_NOTE}">{escape(note)}</div>' for note in (*more, *notes))
    style = "border-collapse:collapse;margin:.3em 0;width:auto"
    return (
        f'{above}<div style="overflow-x:auto"><table style="{style}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>{below}"
    )
