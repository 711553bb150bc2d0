"""A Plotly figure of many points that can be clicked and selected."""

import json
from typing import Any

import gradio as gr

from mowe.analysis.drawing import plotly_script

# Plotly comes from the installed package, once a map is drawn. Gradio's own plots bring an older
# one and share its global name, so each keeps its own. The template never changes: Gradio would
# redraw it and lose what Plotly put there.
DRAW = """
const root = element.querySelector('.map');
let plotly = null, wired = false;
const load = () => plotly ? Promise.resolve(plotly) : new Promise((done, fail) => {
  const other = window.Plotly;
  const script = document.createElement('script');
  script.src = props.value.script;
  script.onload = () => {
    plotly = window.Plotly;
    if (other) window.Plotly = other;
    done(plotly);
  };
  script.onerror = () => fail(new Error('the map cannot be drawn: its script is missing'));
  document.head.appendChild(script);
});
const ids = points => [...new Set(points.map(point => point.customdata)
  .filter(id => Number.isInteger(id)))];
const draw = async () => {
  const figure = (props.value || {}).figure;
  if (!figure) return;
  const draws = await load();
  const config = {responsive: true, displaylogo: false, scrollZoom: true,
    modeBarButtonsToRemove: ['sendChartToCloud', 'autoScale2d']};
  await draws.react(root, figure.data, figure.layout, config);
  draws.Plots.resize(root);
  if (wired) return;
  wired = true;
  root.on('plotly_click', said => trigger('select', {kind: 'click', ids: ids(said.points)}));
  root.on('plotly_selected', said =>
    said && said.points && trigger('select', {kind: 'lasso', ids: ids(said.points)}));
};
draw();
watch('value', draw);
"""


class EmbeddingMap(gr.HTML):
    """Draws a figure; its `select` event has `{"kind": "click" or "lasso", "ids": [int]}`."""

    def __init__(self, **settings: Any) -> None:
        gr.set_static_paths([str(plotly_script())])  # this one file may be fetched
        super().__init__(
            value={},
            html_template='<div class="map" role="img" aria-label="Map of recordings"></div>',
            js_on_load=DRAW,
            apply_default_css=False,
            **settings,
        )

    def api_info(self) -> dict[str, Any]:
        """Its value is an object."""
        return {"type": "object"}


def drawn(figure: Any) -> dict[str, Any]:
    """A Plotly figure as a value of the map."""
    return {
        "script": f"gradio_api/file={plotly_script()}",
        "figure": json.loads(figure.to_json()),
    }
