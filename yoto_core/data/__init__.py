"""From a file to a learning problem: matrices, gene names, labels, who trains and who judges."""
