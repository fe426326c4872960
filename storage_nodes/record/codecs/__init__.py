"""Codecs of payloads and header blocks, one to a file; `choose` decides between them."""
