"""The estimates of every estimator for networks whose bias is known, compared with the truth."""
