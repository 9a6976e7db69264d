"""Many rows through the REST API, as any client would write them: bounded, repeatable, told about."""
