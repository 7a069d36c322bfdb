"""Networks of video object segmentation, a family in each file."""
