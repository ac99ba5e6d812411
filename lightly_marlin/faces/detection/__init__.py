"""Detection of faces: the protocol, dlib's detectors, and where and when to look."""
