"""Text in, text out. What it means, `holysheep_nb.wire` knows."""
