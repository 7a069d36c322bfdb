"""What is done with the model: stages, inputs, forward passes, checks, cost."""
