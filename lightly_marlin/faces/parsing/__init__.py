"""Parsing of a face into regions: the protocol, and parsers."""
