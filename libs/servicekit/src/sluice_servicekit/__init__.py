"""What every Sluice service is built on."""
