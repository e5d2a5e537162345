"""What is kept: schema, migrations, and the one writer."""
