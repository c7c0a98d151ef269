"""Images that are in two splits, found from their pixels."""
