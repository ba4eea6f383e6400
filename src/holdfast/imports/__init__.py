"""Internal: sessions that another library stored: where they are, and how they are read. Nothing there is written."""
