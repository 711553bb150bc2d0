"""Tables to read and copy."""

import gradio as gr


def table_of(
    columns: list[str],
    label: str,
    elem_id: str,
    *,
    widths: list[int] | None = None,
    max_height: int = 320,
) -> gr.Dataframe:
    """A table to read and copy, the twin of a chart.

    Args:
        columns: Its headers.
        label: Its name.
        elem_id: Of its element.
        widths: Of the columns, px; where there are many, words would break without.
        max_height: Beyond it the table scrolls, px.
    """
    return gr.Dataframe(
        headers=columns, value=[], interactive=False, label=label, show_label=False,
        max_height=max_height, wrap=True, elem_id=elem_id, elem_classes="own-table",
        buttons=["copy"],
        column_widths=[f"{width}px" for width in widths] if widths else None,
    )  # fmt: skip
