"""Speed and memory, side by side with a floor and with what a user would pick instead: `make bench`."""
