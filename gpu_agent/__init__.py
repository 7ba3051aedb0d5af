"""What measures: the worker, its engines, its meters and its workloads."""
