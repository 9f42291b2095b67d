"""New cells: find the panel in them, label them, and say how far the answers can be trusted."""
