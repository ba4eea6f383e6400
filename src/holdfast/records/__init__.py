"""Internal: what is stored: the record, its envelope and metadata, tokens and keys, encryption, the codec of values."""
