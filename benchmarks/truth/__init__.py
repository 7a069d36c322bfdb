"""Units and networks whose dependence on appearance and motion is known, and the accuracy of the estimators on them."""
