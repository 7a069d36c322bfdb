"""Models of other libraries, and modules of the user."""
