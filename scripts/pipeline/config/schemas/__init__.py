"""What each file of a config may hold: `SCHEMA`, and in `PARTS` what of it other documents refer to by name.

Jobs get what these say through their specs, so no result depends on these modules otherwise.
"""
