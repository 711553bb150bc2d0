"""The look: Gradio's soft theme in our colours, with fonts that every system has."""

from pathlib import Path

import gradio as gr

STYLE_SHEET = Path(__file__).with_name("style.css")
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"]
FONT_MONO = ["ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace"]


def build_theme() -> gr.themes.Base:
    """The page's theme; names system fonts only, so nothing is fetched."""
    theme = gr.themes.Soft(
        primary_hue="indigo",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=FONT,
        font_mono=FONT_MONO,
    )
    return theme.set(
        # the defaults are too faint to read on white
        body_text_color_subdued="*neutral_600",
        input_placeholder_color="*neutral_500",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0",
        block_label_border_width_dark="0",
        block_label_shadow="none",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_padding="0",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_border_width="1px",
        block_border_width_dark="1px",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_700",
    )
