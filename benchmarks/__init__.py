"""Speed, measured: `make bench` runs every file here, one after the other, and prints its figures."""
