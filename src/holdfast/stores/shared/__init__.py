"""Internal: the shared parts of several stores. Only stores import it."""
