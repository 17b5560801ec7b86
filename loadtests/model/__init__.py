"""What a run is made of. Pure, with the standard library alone; everything else may import it."""
