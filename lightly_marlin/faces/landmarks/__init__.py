"""Landmarks of a face: a portrait to fit them in, the fit, and the pose of the head."""
