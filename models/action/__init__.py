"""Networks of action recognition, a family in each file."""
