"""What stands below the contract of models: no model, no data set, no framework."""
