"""What users write, checked and with defaults, and what each stage is made from."""
