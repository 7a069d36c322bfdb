"""Plumbing that knows nothing of videos and models: errors, files, locks, runs, options, seeds."""
