"""Internal: the parts that the devices page and the operator's page share: layout, forms, filters and texts."""
