"""One command from the data to a trained model, beside the usual route of another library."""
