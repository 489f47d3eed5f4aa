"""SFT, reward models, reference log-probabilities and policies, by TRL's trainers and the SAIL plugin."""
