"""Studies of the published weights: inference only, nothing is trained."""
