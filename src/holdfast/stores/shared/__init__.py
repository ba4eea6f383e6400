"""Internal: what several stores share. Only stores import it."""
