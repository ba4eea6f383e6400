"""What is stored: the record, its envelope and metadata, tokens and keys, encryption, and the codec of values."""
