"""What people look at: plots and the HTML page."""
