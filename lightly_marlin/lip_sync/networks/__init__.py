"""Networks: the sync expert, the generators, and what they are made of."""
