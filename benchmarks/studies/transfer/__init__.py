"""Studies of transfer learning: what trained weights are worth, and how to fine-tune them."""
