"""What the inventory says, whoever reads it: the plan of a run and how hosts are reached."""
