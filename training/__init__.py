"""Training and evaluation of registered models on folders of frames, and the data sets for it."""
