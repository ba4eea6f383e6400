"""The stores: one module per backend, each imported only when it is used."""
