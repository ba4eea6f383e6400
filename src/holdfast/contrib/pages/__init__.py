"""Internal: what the devices page and the operator's page share: layout, forms, filters and texts."""
