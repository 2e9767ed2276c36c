"""Environments as other packages have them, by mjxsim: change one import."""
