#pragma once
// Is a page one of the tables that some walk would read now? Asked of each page that a strike hits.
//
// The trees of processes and of the kernel's mappings are walked. The linear map's may have
// millions of entries above its leaves, so it is not: it leads from each address to that address's
// page, whence the place that a table would have follows from what it maps, and a walk to there
// says whether it stands there. What a strike has forged leads anywhere, and is followed entry by
// entry.

#include <set>

#include "sim/kernel/kernel.h"

namespace kpksim::attack {

// `forged`: pages that strikes have changed.
bool is_table(kernel::Kernel& kernel, const std::set<Pfn>& forged, Pfn page);

}  // namespace kpksim::attack
