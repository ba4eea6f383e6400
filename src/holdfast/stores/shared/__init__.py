"""What several stores share. Only stores import it."""
