// No protection: the baseline that the others are compared with.

#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {
namespace {

const Protections::Entry none_entry{{
    .name = "none",
    .description = "page tables are writable everywhere in the kernel",
    .rank = 0,
    .x86 = true,
    .make = make_protection_of<Protection>,
}};

}  // namespace
}  // namespace kpksim::kernel
