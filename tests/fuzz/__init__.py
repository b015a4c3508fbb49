"""Ten thousand requests that nobody meant, through the function that anyone can reach."""
