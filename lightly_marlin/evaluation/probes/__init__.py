"""Probes on frozen features, and the protocol that they share."""
