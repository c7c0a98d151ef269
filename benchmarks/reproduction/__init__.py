"""Training and evaluation behind the results table and the published weights."""
