"""Learners: PPO; networks, normalization and checkpoints."""
