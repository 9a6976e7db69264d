"""`caremesh doctor`: what is wrong on this machine or with the clinic that runs on it, each with its remedy."""
