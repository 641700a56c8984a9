"""The pipelines that users run: recipes and Beam examples."""
