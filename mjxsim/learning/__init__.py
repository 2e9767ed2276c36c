"""Learners: PPO and SAC; networks, normalization and checkpoints."""
