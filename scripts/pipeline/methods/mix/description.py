"""What mix is called."""

ORDER = 6
