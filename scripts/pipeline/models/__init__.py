"""Policies as they are loaded, formatted, measured and saved, and the devices that they are on."""
