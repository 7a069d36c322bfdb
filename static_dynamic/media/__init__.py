"""Clips, pictures and video files: how they are decoded, described and written."""
