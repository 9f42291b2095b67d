"""What there is to see in a panel: gene profiles, maps, groups of cells, enrichment."""
