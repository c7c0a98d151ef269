"""The routes of the service: what clients and browsers ask for."""
