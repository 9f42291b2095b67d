"""The selector and its training: from a learning problem to an order of genes and the model that reads them."""
