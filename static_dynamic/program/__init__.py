"""The commands of the program, one short file for each."""
