"""What every job does whatever it computes: files, logs, processes, state that killed ones go on from, records."""
