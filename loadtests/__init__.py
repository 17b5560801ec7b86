"""What measures: experiments, the load, the validity of what was measured, the verdict and the report."""
