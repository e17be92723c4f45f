"""Tables that are loaded all the time: the same bounded loads, one after the other, in a process of their own."""
