"""What programs are told: the same values from the command line and over HTTP, money in minor units, values exact."""
