"""Units and networks whose dependence on appearance and motion is known, and how right the estimators are on them."""
