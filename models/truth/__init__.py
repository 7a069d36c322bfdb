"""Small networks whose bias is known, since it follows from what they were taught; their weights come with the zoo."""
