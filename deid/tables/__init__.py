"""The standards the de-identifier follows, as data files with their sources, and their loaders."""
