"""Plain DPO."""
