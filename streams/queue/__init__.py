"""The queue: leases, lines, limits and delays of a pool's jobs, and the policy that decides between them."""
