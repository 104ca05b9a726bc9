// What this process keeps in memory.
#pragma once

namespace pooler {

// Unmaps code and constants of the program and its libraries until they are next used, at the price
// of a page fault each. Linking, TLS set-up and the first lists run through megabytes that nothing
// needs again; the kernel counts them as resident until it is short of memory. Nothing that was
// ever written is touched.
void release_code();

// Gives back what is free in the middle of the heap, too: after a burst (a list, twenty objects
// made at once) that is most of it.
void release_heap();

}  // namespace pooler
