"""From digital layers to analog ones and back."""
