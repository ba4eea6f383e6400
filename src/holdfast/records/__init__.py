"""Internal: the stored data: records, envelopes and metadata, tokens and keys, encryption, and the codecs."""
