"""The clinic on one machine: the `caremesh` command and the processes that only it needs."""
