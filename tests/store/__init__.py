"""The real store on a temporary file."""
