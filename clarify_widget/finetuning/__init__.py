"""Spurious-aware fine-tuning of the projections into the joint space (Yang et al., ICML 2023)."""
