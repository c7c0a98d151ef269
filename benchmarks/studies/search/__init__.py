"""Whether searching with Optuna, and ending trials early, is worth more than luck."""
