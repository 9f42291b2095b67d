"""Charts: for each a function that makes its table and one that draws a plotly figure from that table."""
