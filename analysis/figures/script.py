"""Where Plotly's own script lies, for pages that draw a figure themselves."""

from pathlib import Path

import plotly


def plotly_script() -> Path:
    """Path of `plotly.min.js` inside the installed package."""
    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
