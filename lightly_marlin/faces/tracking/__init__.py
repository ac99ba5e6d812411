"""Tracking of faces: from sightings in frames to whole tracks."""
