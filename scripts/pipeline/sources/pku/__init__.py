"""PKU-SafeRLHF."""
