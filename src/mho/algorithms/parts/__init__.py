"""What algorithms share: lines that are transferred, digital buffers, choppers, tracking, torch optimizers."""
