"""How far passages carry a claim, by the words, numbers and names they share."""
