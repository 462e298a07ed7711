"""An appraisal, or a refusal, as JSON for machines and text for people."""
