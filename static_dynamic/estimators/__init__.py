"""From stored activations to scores: a score is one file."""
