"""One module per data set, each a reader of its native layout, and the registry that names them."""
