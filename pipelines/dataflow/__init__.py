"""What a run on Google's Dataflow needs besides the package: an image of its workers, and a template."""
