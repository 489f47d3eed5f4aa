"""Any mixture of SAIL's variants."""
