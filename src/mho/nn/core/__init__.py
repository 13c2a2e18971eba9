"""What all analog layers are made of: blocks of arrays, their product in autograd, and what they have to learn."""
