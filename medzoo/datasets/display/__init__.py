"""How data sets and their splits show themselves: contact sheets, and HTML in notebooks."""
