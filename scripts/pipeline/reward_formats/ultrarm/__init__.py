"""The format of UltraRM."""
