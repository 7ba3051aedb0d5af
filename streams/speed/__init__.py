"""Speed: latencies, rates and the energy of a workload."""
