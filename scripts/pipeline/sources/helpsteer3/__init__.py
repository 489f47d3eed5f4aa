"""HelpSteer3."""
