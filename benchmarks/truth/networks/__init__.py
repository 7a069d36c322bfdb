"""What every estimator says of networks whose bias is known, beside what is true of them."""
