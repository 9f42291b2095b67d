"""What a trained panel is worth on held-out cells: against rivals, at every size, gene by gene."""
