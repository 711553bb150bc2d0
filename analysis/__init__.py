"""Tables in, numbers and Plotly figures out; knows nothing of pages."""
