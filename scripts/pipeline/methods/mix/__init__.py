"""A mixture of SAIL's DDP, DPP and DPR."""
